import sys

import keras
import pytest

from keras_convbert.export import export_saved_model
from keras_convbert.export import saved_model
from keras_convbert.export.writing import write
from keras_convbert.models import ConvBertPretrainer
from tests.export import tiny


@pytest.fixture(scope="module")
def classifier():
    return tiny.classifier()


@pytest.mark.once
def test_what_is_written_is_announced(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(saved_model, "write", lambda *_, **__: None)
    export_saved_model(tiny.backbone(), tmp_path / "encoder")
    assert capsys.readouterr().out == (
        f"Exporting ConvBertBackbone to {tmp_path}/encoder/1, with the "
        "signatures serving_default\n"
    )


@pytest.mark.once
def test_an_export_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def fail(form, model, folder, **options):
        (folder / "saved_model.pb").write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(saved_model, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        export_saved_model(tiny.backbone(), tmp_path, verbose=False)
    assert [*tmp_path.iterdir()] == []


@pytest.mark.once
def test_a_version_that_exists_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(
        saved_model, "write", lambda *_, **__: pytest.fail("work")
    )
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "saved_model.pb").write_bytes(b"served")
    with pytest.raises(
        FileExistsError, match=r"does not exist yet. Received: version=2"
    ):
        export_saved_model(tiny.backbone(), tmp_path, 2, verbose=False)
    assert (tmp_path / "2" / "saved_model.pb").read_bytes() == b"served"


@pytest.mark.once
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"version": 0}, ValueError, "positive integer. Received: version=0"),
        ({"version": "1"}, ValueError, "integer. Received: version='1'"),
        ({"version": True}, ValueError, "Received: version=True"),
        ({"path": ""}, ValueError, "path of a folder. Received: path=''"),
        ({"path": 3}, ValueError, "path of a folder. Received: path=3"),
        ({"path": "gs://b/m"}, ValueError, "a local folder.*'gs://b/m'"),
        ({"path": __file__}, NotADirectoryError, "a folder or not to exist"),
        ({"labels": ["a", "b"]}, ValueError, "each of the 3 classes"),
        ({"labels": "abc"}, ValueError, "3 classes. Received: labels='abc'"),
        ({"labels": [0, 1, 2]}, ValueError, "a unique string for each"),
        ({"labels": ["a", "b", "a"]}, ValueError, "a unique string"),
        ({"labels": ["a", "b", "\ud800"]}, ValueError, "a unique string"),
        ({"signatures": "text"}, ValueError, "Received: signatures='text'"),
        ({"signatures": []}, ValueError, "Received: signatures=."),
        ({"signatures": ["tokens"]}, ValueError, "'text', 'text_pair'"),
        ({"warmup": "text"}, ValueError, "Received: warmup='text'"),
        ({"warmup": []}, ValueError, "at least one item"),
        ({"warmup": [("a", "b", "c")]}, ValueError, "valid Unicode string"),
        ({"warmup": ["\ud800"]}, ValueError, "valid Unicode string"),
        ({"dtype": "float64"}, ValueError, "Received: dtype='float64'"),
    ],
    ids=[
        "version-0",
        "version-string",
        "version-bool",
        "path-empty",
        "path-number",
        "path-remote",
        "path-of-file",
        "labels-too-few",
        "labels-one-string",
        "labels-numbers",
        "labels-twice",
        "labels-surrogate",
        "signatures-string",
        "signatures-none",
        "signatures-of-another",
        "warmup-string",
        "warmup-none",
        "warmup-three",
        "warmup-surrogate",
        "dtype",
    ],
)
def test_wrong_arguments_are_refused(
    arguments, error, message, classifier, tmp_path
):
    with pytest.raises(error, match=message):
        export_saved_model(classifier, **{"path": tmp_path, **arguments})
    assert [*tmp_path.iterdir()] == []


@pytest.mark.once
@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda: ConvBertPretrainer(
                tiny.backbone(), mask_token_id=4, special_token_ids=[0]
            ),
            "masked_lm, .*. To export a pretrainer, pass its `.backbone`",
            id="pretrainer",
        ),
        pytest.param(keras.Sequential, "of type Sequential", id="other-model"),
        pytest.param(
            lambda: tiny.classifier(strings=False, activation="tanh"),
            "Received: model.activation=tanh",
            id="tanh",
        ),
    ],
)
def test_models_that_cannot_be_served_are_refused(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_saved_model(make(), tmp_path)


@pytest.mark.once
def test_labels_of_a_backbone_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"`labels=None`.*ConvBertBackbone"):
        export_saved_model(tiny.backbone(), tmp_path, labels=tiny.LABELS)


@pytest.mark.once
@pytest.mark.parametrize("module", ["tensorflow", "tensorflow_text"])
def test_a_missing_package_is_named(module, classifier, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    package = module.replace("_", "-")
    message = (
        rf"{package}, which is not installed: `pip install .*\[tensorflow\]"
    )
    with pytest.raises(ImportError, match=message):
        export_saved_model(classifier, tmp_path)


@pytest.mark.once
@pytest.mark.long
def test_the_error_of_the_tensorflow_process_is_shown(tmp_path):
    class Unreadable:
        def save(self, path):
            path.write_text("no model")

    # From TensorFlow to torch; from others to TensorFlow.
    form = "torch" if keras.backend.backend() == "tensorflow" else "onnx"
    with pytest.raises(RuntimeError, match=r"(?s)code 1.*ValueError: .*keras"):
        write(form, Unreadable(), tmp_path)
