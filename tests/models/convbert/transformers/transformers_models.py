"""ConvBERT models of `transformers`, and folders of theirs."""

import numpy as np
import torch
import transformers

from tests.models.convbert import texts

SIZES = {
    "vocab_size": 60,
    "embedding_size": 16,
    "hidden_size": 24,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 36,
    "max_position_embeddings": 40,
    "conv_kernel_size": 3,
    "pad_token_id": 0,
    "num_labels": 3,
}
# Changes that make a model fast, for the vocabulary of the tests.
SMALL = {
    "vocab_size": len(texts.VOCABULARY),
    "num_hidden_layers": 1,
    "hidden_size": 8,
    "embedding_size": 4,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def make(name="Model", seed=0, **changes):
    """A model with random weights, all of them, biases and norms included."""
    config = transformers.ConvBertConfig(**{**SIZES, **changes})
    model = getattr(transformers, f"ConvBert{name}")(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0.0, 0.05, generator=generator)
    return model.eval()


def save(model, folder, tokenizer=False):
    model.save_pretrained(folder)
    if tokenizer:
        vocabulary = {token: i for i, token in enumerate(texts.VOCABULARY)}
        transformers.ConvBertTokenizer(vocab=vocabulary).save_pretrained(folder)
    return str(folder)


def inputs(length=12, padded=True, seed=0):
    """Token ids, segment ids and padding mask of three sequences."""
    generator = np.random.default_rng(seed)
    lengths = np.array([length, max(1, length // 2), max(1, length - 2)])
    mask = np.ones((3, length), "int32")
    if padded:
        mask = (np.arange(length) < lengths[:, None]).astype("int32")
    return {
        "token_ids": generator.integers(5, 40, (3, length)).astype("int32")
        * mask,
        "segment_ids": (np.arange(length) > length // 3).astype("int32")
        * np.ones((3, 1), "int32"),
        "padding_mask": mask,
    }


def call(model, arrays, output=0):
    """What the model gives, as one array: the one of that number."""
    with torch.no_grad():
        outputs = model(
            input_ids=torch.tensor(arrays["token_ids"]).long(),
            token_type_ids=torch.tensor(arrays["segment_ids"]).long(),
            attention_mask=torch.tensor(arrays["padding_mask"]).long(),
        )
    return outputs[output].numpy()
