"""Presets of a user's subclasses, as the error of such a preset advises."""

import gc

import keras
import numpy as np
import pytest

from keras_convbert import load_model
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextClassifierPreprocessor
from keras_convbert.models import ConvBertTokenizer
from tests.models.convbert import texts
from tests.models.convbert import tiny

pytestmark = pytest.mark.once


class OwnBackbone(ConvBertBackbone):
    pass


class OwnTokenizer(ConvBertTokenizer):
    backbone_cls = OwnBackbone


class OwnPreprocessor(ConvBertTextClassifierPreprocessor):
    backbone_cls = OwnBackbone
    tokenizer_cls = OwnTokenizer


class OwnClassifier(ConvBertTextClassifier):
    backbone_cls = OwnBackbone
    preprocessor_cls = OwnPreprocessor


def triple(x):
    return 3 * x


@pytest.fixture
def subclass(request):
    """A classifier class, removed after the test.

    `from_preset` of a KerasHub base class would find it in other tests.
    """

    class Subclass(ConvBertTextClassifier):
        pass

    if request.param == "registered":
        keras.saving.register_keras_serializable(package="own")(Subclass)
    yield Subclass
    keras.saving.get_custom_objects().pop("own>Subclass", None)
    del Subclass
    gc.collect()


def _own():
    preprocessor = OwnPreprocessor(
        OwnTokenizer(texts.VOCABULARY), sequence_length=8
    )
    backbone = OwnBackbone(**_sizes())
    return OwnClassifier(backbone, 2, preprocessor)


def _sizes(**options):
    sizes = tiny.backbone(vocabulary_size=len(texts.VOCABULARY)).get_config()
    names = ("vocabulary_size", "num_layers", "num_heads", "hidden_dim")
    return {
        **{name: sizes[name] for name in (*names, "intermediate_dim")},
        **options,
    }


def _task(cls, **options):
    preprocessor = ConvBertTextClassifierPreprocessor(
        texts.tokenizer(), sequence_length=8
    )
    return cls(ConvBertBackbone(**_sizes(**options)), 2, preprocessor)


def _logits(task):
    return task.predict_on_batch(["a good film"])


@pytest.mark.parametrize("subclass", ["plain", "registered"], indirect=True)
def test_a_subclass_loads_its_own_preset(tmp_path, subclass):
    task = _task(subclass)
    task.save_to_preset(tmp_path)
    again = subclass.from_preset(tmp_path)
    assert type(again) is subclass
    np.testing.assert_array_equal(_logits(again), _logits(task))


def test_every_part_may_be_a_subclass(tmp_path):
    task = _own()
    task.save_to_preset(tmp_path)
    again = OwnClassifier.from_preset(tmp_path)
    assert type(again.backbone) is OwnBackbone
    assert type(again.preprocessor) is OwnPreprocessor
    assert type(again.preprocessor.tokenizer) is OwnTokenizer
    np.testing.assert_array_equal(_logits(again), _logits(task))


ALL = {
    cls.__name__: cls
    for cls in (OwnBackbone, OwnTokenizer, OwnPreprocessor, OwnClassifier)
}


@pytest.mark.parametrize(
    ("base", "own"),
    [
        (ConvBertBackbone, OwnBackbone),
        (ConvBertTokenizer, OwnTokenizer),
        (ConvBertTextClassifierPreprocessor, OwnPreprocessor),
        (ConvBertTextClassifier, OwnClassifier),
    ],
)
def test_the_advice_of_the_error_works(tmp_path, base, own):
    _own().save_to_preset(tmp_path)
    with pytest.raises(ValueError, match="pass it in `custom_objects`"):
        base.from_preset(tmp_path)
    assert type(base.from_preset(tmp_path, custom_objects=ALL)) is own


def test_functions_are_custom_objects_too(tmp_path):
    task = _task(ConvBertTextClassifier, activation=triple)
    task.save_to_preset(tmp_path / "preset")
    task.save(tmp_path / "task.keras")
    for load, source in (
        (ConvBertTextClassifier.from_preset, tmp_path / "preset"),
        (load_model, tmp_path / "task.keras"),
    ):
        with pytest.raises(ValueError, match="pass it in `custom_objects`"):
            load(source)
        again = load(source, custom_objects={"triple": triple})
        np.testing.assert_array_equal(_logits(again), _logits(task))
