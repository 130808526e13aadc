import json
import os

import keras
import numpy as np
import pytest

from keras_convbert.models import ConvBertPretrainerPreprocessor
from tests.models.convbert import texts


def preprocessor(**options):
    return ConvBertPretrainerPreprocessor(
        texts.tokenizer(), **{"sequence_length": 8, **options}
    )


def test_texts_and_pairs_are_packed_unmasked():
    outputs = preprocessor()(["a b"])
    assert {k: np.asarray(v).tolist() for k, v in outputs.items()} == {
        "token_ids": [[2, 5, 6, 3, 0, 0, 0, 0]],
        "segment_ids": [[0] * 8],
        "padding_mask": [[True] * 4 + [False] * 4],
    }
    outputs = preprocessor()(x=(["a b"], ["c"]))
    assert np.asarray(outputs["token_ids"]).tolist() == [
        [2, 5, 6, 3, 7, 3, 0, 0]
    ]
    assert np.asarray(outputs["segment_ids"]).tolist() == [
        [0, 0, 0, 0, 1, 1, 0, 0]
    ]


def test_graph_gives_the_same():
    tf = pytest.importorskip("tensorflow")
    layer = preprocessor()
    wanted = layer(["a b", "c d e f g h i j"])
    dataset = tf.data.Dataset.from_tensors(["a b", "c d e f g h i j"])
    [found] = dataset.map(layer)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], np.asarray(value))


def test_labels_pass_through():
    _x, y, weight = preprocessor()(["a"], [1], [0.5])
    assert (np.asarray(y).item(), np.asarray(weight).item()) == (1, 0.5)


def test_length_can_be_set_anew():
    layer = preprocessor()
    layer(["a"])
    layer.sequence_length = 3
    assert np.asarray(layer(["a b"])["token_ids"]).tolist() == [[2, 5, 3]]


@pytest.mark.parametrize(
    "options", [{"sequence_length": 2}, {"truncate": "none"}]
)
def test_bad_arguments_are_refused_at_once(options):
    [(name, value)] = options.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value!r}"):
        preprocessor(**options)


def test_config_round_trip():
    layer = preprocessor(truncate="waterfall")
    config = json.loads(json.dumps(layer.get_config()))
    revived = ConvBertPretrainerPreprocessor.from_config(config)
    assert revived.get_config() == layer.get_config()
    assert (revived.sequence_length, revived.truncate) == (8, "waterfall")


def test_saving_keeps_its_own_config(tmp_path):
    # Its inner preprocessor, of another class, must not be written over it.
    preprocessor(truncate="waterfall").save_to_preset(tmp_path)
    config = json.loads((tmp_path / "preprocessor.json").read_text())
    assert config["class_name"] == "ConvBertPretrainerPreprocessor"
    assert config["config"]["truncate"] == "waterfall"
    assert sorted(os.listdir(tmp_path)) == [
        "assets",
        "preprocessor.json",
        "tokenizer.json",
    ]
    revived = keras.saving.deserialize_keras_object(config)
    revived.load_preset_assets(str(tmp_path))
    assert revived.tokenizer.get_vocabulary() == texts.VOCABULARY
