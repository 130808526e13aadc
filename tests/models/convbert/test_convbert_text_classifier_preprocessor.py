import json

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertTextClassifierPreprocessor
from keras_convbert.models import ConvBertTokenizer
from tests.models.convbert import texts

PAIR = (["a b c d a b c d", "c"], ["d d d d", ""])


def preprocessor(**options):
    return ConvBertTextClassifierPreprocessor(
        texts.tokenizer(), **{"sequence_length": 8, **options}
    )


def in_tf_data(layer, data, batch_size=8):
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(batch_size)
    return [
        keras.tree.map_structure(lambda t: t.numpy(), batch)
        for batch in dataset.map(layer)
    ]


def as_lists(outputs):
    return {name: np.asarray(value).tolist() for name, value in outputs.items()}


def test_one_text_is_packed():
    outputs = preprocessor()(["a b", "a a a a a a a a a"])
    assert as_lists(outputs) == {
        "token_ids": [[2, 5, 6, 3, 0, 0, 0, 0], [2, 5, 5, 5, 5, 5, 5, 3]],
        "segment_ids": [[0] * 8, [0] * 8],
        "padding_mask": [[True] * 4 + [False] * 4, [True] * 8],
    }
    for value in outputs.values():
        assert keras.ops.is_tensor(value)


def test_single_string_has_no_batch_axis():
    outputs = preprocessor()("a")
    assert as_lists(outputs)["token_ids"] == [2, 5, 3, 0, 0, 0, 0, 0]
    assert as_lists(preprocessor()(""))["token_ids"] == [2, 3] + [0] * 6


PACKED = [
    pytest.param(
        "round_robin",
        [[2, 5, 6, 7, 3, 8, 8, 3], [2, 7, 3, 3, 0, 0, 0, 0]],
        [[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 0, 0, 0, 0]],
        id="round_robin",
    ),
    pytest.param(
        "waterfall",
        [[2, 5, 6, 7, 8, 5, 3, 3], [2, 7, 3, 3, 0, 0, 0, 0]],
        [[0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 1, 0, 0, 0, 0]],
        id="waterfall",
    ),
]


@pytest.mark.parametrize(("truncate", "token_ids", "segment_ids"), PACKED)
def test_pairs_are_cut_and_packed(truncate, token_ids, segment_ids):
    layer = preprocessor(truncate=truncate)
    outputs = as_lists(layer(x=PAIR))
    assert outputs["token_ids"] == token_ids
    assert outputs["segment_ids"] == segment_ids
    assert outputs["padding_mask"] == (np.array(token_ids) != 0).tolist()
    [in_graph] = in_tf_data(lambda a, b: layer(x=(a, b)), PAIR)
    assert as_lists(in_graph) == outputs


def test_tuple_by_position_is_text_and_labels():
    x, y = preprocessor()((["a", "b"], [1, 0]))
    assert np.asarray(x["token_ids"])[:, 1].tolist() == [5, 6]
    assert np.asarray(y).tolist() == [1, 0]


def test_labels_and_weights_pass_through():
    x, y, weight = preprocessor()(["a"], [3], [0.5])
    assert (np.asarray(y).item(), np.asarray(weight).item()) == (3, 0.5)
    data = (["a", "b"], [1, 0], [0.5, 2.0])
    [(x, y, weight)] = in_tf_data(preprocessor(), data)
    assert x["token_ids"][:, 1].tolist() == [5, 6]
    assert (y.tolist(), weight.tolist()) == ([1, 0], [0.5, 2.0])


def test_length_can_be_set_anew():
    layer = preprocessor()
    layer(["a"])
    layer.sequence_length = 4
    outputs = layer(["a b c d"])
    assert np.asarray(outputs["token_ids"]).tolist() == [[2, 5, 6, 3]]
    assert layer.get_config()["sequence_length"] == 4


@pytest.mark.parametrize(
    ("x", "message"),
    [
        pytest.param((["a"], ["b"], ["c"]), "x with 3 parts", id="three"),
        pytest.param((["a", "b"], ["c"]), r"\[\(2,\), \(1,\)\]", id="uneven"),
        pytest.param([["a", "b"]], r"\[\(1, 2\)\]", id="nested"),
        pytest.param([7], r"must be strings. Received: \[7\]", id="numbers"),
        pytest.param(None, "Received: None", id="none"),
        pytest.param(["a\ud800"], "lone surrogates", id="surrogate"),
    ],
)
def test_what_is_no_text_is_refused(x, message):
    with pytest.raises(ValueError, match=message):
        preprocessor()(x=x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequence_length": 2}, "Received: sequence_length=2"),
        ({"sequence_length": None}, "Received: sequence_length=None"),
        (
            {"truncate": "longest"},
            r"waterfall'\).*truncate='longest'",
        ),
    ],
)
def test_bad_arguments_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        preprocessor(**options)


def test_config_round_trip():
    layer = preprocessor(truncate="waterfall", name="words")
    config = json.loads(json.dumps(layer.get_config()))
    revived = ConvBertTextClassifierPreprocessor.from_config(config)
    assert isinstance(revived.tokenizer, ConvBertTokenizer)
    assert revived.get_config() == layer.get_config()
    assert (revived.sequence_length, revived.truncate) == (8, "waterfall")
