"""Small vocabularies, and texts over them."""

import numpy as np

from keras_convbert.models import ConvBertTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [*"abcdefghijklmnop"]
VOCABULARY = SPECIAL + LETTERS
WORDS = [*SPECIAL, "cafe", "Cafe", "open", "##s", ".", "a", "b", "##b"]
WORDS += ["[", "]", "mask", "MASK"]


def tokenizer(**options):
    return ConvBertTokenizer(VOCABULARY, **options)


def letters(rows, longest=8, seed=0):
    """Texts such as `"c a p"`, of one letter at least."""
    generator = np.random.default_rng(seed)
    return [
        " ".join(generator.choice(LETTERS, generator.integers(1, longest)))
        for _ in range(rows)
    ]


def in_graph(tokenizer, texts):
    """What the tokenizer makes of the texts inside `tf.data`."""
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(512)
    return [row for rows in dataset.map(tokenizer) for row in rows.to_list()]
