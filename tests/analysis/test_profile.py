import keras
import numpy as np
import pytest

from keras_convbert.analysis import profile
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertPretrainer
from keras_convbert.models import ConvBertQuestionAnswerer
from keras_convbert.models import ConvBertTextEmbedder
from keras_convbert.models import ConvBertTokenClassifier
from tests.models.convbert import tasks
from tests.models.convbert import tiny

# By the conventions of ELECTRA's `flops_computation.py`: the encoder and the
# head of the detection over 128 and over 512 tokens with lookups as products,
# over 128 without; and a million steps of pretraining at 128 tokens, backward
# as forward, which are what the ConvBERT paper prints in table 3, rounded (but
# for 1.5e18 of the second).
PUBLISHED = {
    "convbert_small": (3.49e9, 1.53e10, 2.49e9),
    "convbert_medium_small": (4.69e9, 2.07e10, 3.69e9),
    "convbert_base": (2.75e10, 1.14e11, 2.15e10),
}
TRAINING = {
    "convbert_small": (1.26e18, 0.25, 128),
    "convbert_medium_small": (1.57e18, 0.25, 128),
    "convbert_base": (1.89e19, 1 / 3, 256),
}
WIDTHS = {
    "convbert_small": 256,
    "convbert_medium_small": 384,
    "convbert_base": 768,
}


def rounded(number):
    return float(f"{number:.2e}")


@pytest.mark.once
@pytest.mark.parametrize("name", PUBLISHED)
def test_flops_are_those_of_the_paper(name):
    short, long, sparse = PUBLISHED[name]
    width = WIDTHS[name]
    head = (2 * width * width + width + 8 * width + 2 * width) * 128

    def flops(length, **options):
        found = profile(name, length, **options)
        return rounded(found.flops + head * length // 128)

    assert flops(128, dense_lookup=True) == short
    assert flops(512, dense_lookup=True) == long
    # 3.681e9 and 2.147e10 are printed as 3.69e9 and 2.15e10.
    assert flops(128) == pytest.approx(
        sparse,
        rel=3e-3,  # printed with three digits, one of them rounded up twice
    )


@pytest.mark.once
@pytest.mark.parametrize("name", TRAINING)
def test_sizes_of_the_paper(name):
    wanted, scale, batch_size = TRAINING[name]
    # In this scope variables have shapes and no values.
    with keras.StatelessScope():
        backbone = ConvBertBackbone.from_preset(name, load_weights=False)
        pretrainer = ConvBertPretrainer(
            backbone,
            generator_scale=scale,
            mask_token_id=tiny.MASK_ID,
            special_token_ids=tiny.SPECIAL_IDS,
            compile=False,
        )
        found = profile(pretrainer, 128, dense_lookup=True)
        assert found.parameters == pretrainer.count_params()
        parameters = backbone.count_params()
        assert profile(name, 128).parameters == parameters
        assert profile(backbone, 128).rows == profile(name, 128).rows
        keras.backend.clear_session()  # forgets that they want values
    training = 2 * found.flops * batch_size * 1_000_000
    assert training == pytest.approx(
        wanted,
        rel=6e-3,  # the authors count 20 predictions per sequence, we 19
    )


@pytest.mark.once
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"conv": False},
        {"conv": False, "head_ratio": 1},
        {"head_ratio": 4},
        {"head_ratio": 8},
        {"head_dim": 5},
        {"num_heads": 2},
        {"num_groups": 2},
        {"num_groups": 4, "kernel_size": 9},
        {"embedding_dim": None},
        {"embedding_dim": 32},
        {"num_layers": 3, "num_segments": 3},
        {"gradient_checkpointing": True},
        {"dropout": 0.0, "attention_dropout": 0.0},
    ],
    ids=str,
)
def test_parameters_are_those_of_the_model(options):
    backbone = tiny.backbone(**options)
    found = profile(backbone, 8)
    assert found.parameters == backbone.count_params()
    assert profile(backbone.get_config(), 8) == found
    if options.get("head_ratio", 2) <= 2 and "head_dim" not in options:
        pretrainer = ConvBertPretrainer(
            backbone,
            generator_scale=0.5,
            mask_token_id=tiny.MASK_ID,
            special_token_ids=tiny.SPECIAL_IDS,
            compile=False,
        )
        found = profile(pretrainer, 8)
        assert found.parameters == pretrainer.count_params()


@pytest.mark.once
def test_parameters_of_tasks():
    backbone = tasks.backbone()
    for task in (
        tasks.classifier(),
        tasks.classifier(head="dense"),
        tasks.masked_lm(),
        ConvBertTokenClassifier(backbone, labels=["O", "B-X"]),
        ConvBertQuestionAnswerer(backbone),
        ConvBertQuestionAnswerer(backbone, head="joint"),
        ConvBertTextEmbedder(backbone),
    ):
        found = profile(task, 8)
        assert found.parameters == task.count_params(), task.name
        if task.name != "conv_bert_text_embedder":
            assert found.flops >= profile(task.backbone, 8).flops


@pytest.mark.once
def test_tokens_of_a_classifier_have_one_head():
    classifier = tasks.classifier(num_classes=3)
    tagger = ConvBertTokenClassifier(classifier.backbone, list("OPQ"))
    one, each = (profile(task, 8).rows[-1] for task in (classifier, tagger))
    assert one.name == each.name == "logits"
    assert each.flops == 8 * one.flops == 8 * (2 * 32 + 1) * 3


@pytest.mark.once
def test_a_product_worked_by_hand():
    """One layer of width 4, two heads of 2 and one left, 3 tokens."""
    found = profile(
        {
            "vocabulary_size": 10,
            "num_layers": 1,
            "num_heads": 2,
            "hidden_dim": 4,
            "intermediate_dim": 6,
            "kernel_size": 3,
            "dropout": 0.0,
            "attention_dropout": 0.0,
        },
        3,
    )
    # A token: the inputs, 3 projections, 2 heads joined, before the norm.
    attention = 4 + 3 * 2 + 4 + 4
    # Inputs, spans, keys, queries, products, values, kernels.
    convolution = 4 + 4 + 2 + 2 + 2 + 2 + 3
    # Inputs, before and after the activation, before the norm.
    feed_forward = 4 + 6 + 6 + 4
    assert [row.activation_bytes for row in found.rows] == [
        4 * 3 * kept for kept in (4, attention, convolution, feed_forward)
    ]
    assert found.rows[3].parameters == 2 * 24 + 6 + 4 + 8
    assert found.dtype == "float32"


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="PyTorch tells what it keeps"
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"conv": False},
        {"num_groups": 2},
        {"gradient_checkpointing": True},
        {"dropout": 0.0},
    ],
    ids=str,
)
def test_activations_are_what_torch_keeps(options, dtype):
    config = {
        "hidden_dim": 64,
        "intermediate_dim": 256,
        "num_layers": 2,
        "max_sequence_length": 64,
        "dtype": dtype,
    }
    backbone = tiny.backbone(**{**config, **options})
    # Of two more sequences: casts of weights are kept once.
    few, many = (torch_keeps(backbone, rows, 64) for rows in (2, 4))
    found = (many - few) / 2
    # On a CPU the choice of a dropout is kept in the dtype of what it drops.
    item = 4 if dtype == "float32" else 2
    choices = 16 * bool(backbone.dropout)
    if not backbone.gradient_checkpointing:
        scores = 2 * 64 * bool(backbone.attention_dropout)
        choices += 2 * (scores + 2 * 64 * bool(backbone.dropout))
    wanted = profile(backbone, 64).activation_bytes
    wanted += 64 * choices * (item - 1)
    assert found == pytest.approx(
        wanted,
        rel=0.08,  # `profile` leaves out masks and the statistics of norms
    )


def torch_keeps(model, rows, length):
    """Bytes of the tensors that autograd holds, without weights."""
    import torch

    weights = {v.value.untyped_storage().data_ptr() for v in model.variables}
    held = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage
        return tensor

    inputs = {
        name: np.ones((rows, length), "int32")
        for name in ("token_ids", "segment_ids", "padding_mask")
    }
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        outputs = model(inputs, training=True)["sequence_output"]
    held.pop(outputs.untyped_storage().data_ptr(), None)
    return sum(storage.nbytes() for storage in held.values())


@pytest.mark.once
def test_the_table():
    lines = str(profile("convbert_small", 128)).splitlines()
    assert lines[0].split()[:2] == ["layer", "number"]
    assert len({len(line) for line in lines}) == 1
    assert lines[4].split()[:2] == ["transformer_layer/attention", "12"]
    assert "13,143,768" in lines[-1]
    assert lines[-1].startswith("total")
    names = [row.name for row in profile("convbert_small", 128).rows]
    assert "transformer_layer_11/feed_forward" in names


@pytest.mark.once
def test_a_preset_is_read(tmp_path):
    backbone = tiny.backbone()
    backbone.save_to_preset(tmp_path / "preset")
    assert profile(tmp_path / "preset", 8) == profile(backbone, 8)
    half = profile({**backbone.get_config(), "dtype": "mixed_bfloat16"}, 8)
    assert half == profile(tiny.backbone(dtype="mixed_bfloat16"), 8)
    assert half.dtype == "bfloat16"


@pytest.mark.once
@pytest.mark.parametrize(
    ("model", "length", "message"),
    [
        ("convbert_small", 513, "from 1 to `max_sequence_length=512`"),
        ("convbert_small", 0, "Received: sequence_length=0"),
        (3, 8, "model_or_config=3"),
        ({"vocab_size": 3}, 8, r"unknown \['vocab_size'\], missing \['voc"),
    ],
)
def test_errors(model, length, message):
    with pytest.raises(ValueError, match=message):
        profile(model, length)
