import importlib.util
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras

from keras_convbert.export.signatures import kind_of
from keras_convbert.export.signatures import text_signatures
from keras_convbert.export.tensorflow_process import write_in_process
from keras_convbert.export.tensorflow_writer import write
from keras_convbert.files import AnyPath
from keras_convbert.files import whole_folder
from keras_convbert.models import ConvBertTextClassifier


def export_saved_model(
    model: keras.Model,
    path: AnyPath,
    version: int = 1,
    labels: Sequence[str] | None = None,
    verbose: bool = True,
) -> pathlib.Path:
    """Writes a model as a SavedModel, which TensorFlow alone can serve.

    What is written to `path/<version>` runs in TensorFlow and TensorFlow
    Serving, without Keras and without this library. It is there whole, or not
    at all. Each weight is stored once.

    The signatures, and what they take and give:

    - `serving_default`, of every model: the inputs of the model, int32 of
      shape `(batch, length)`, of any length up to the backbone's
      `max_sequence_length`. A `ConvBertBackbone` gives `sequence_output` and
      `pooled_output`, a `ConvBertMaskedLM` `logits`, and a
      `ConvBertTextClassifier` `logits` and `probabilities`, both `(batch,
      num_classes)`, and `label`, `(batch,)`.
    - `text`, of a classifier with a preprocessor: strings in UTF-8, `text`,
      of shape `(batch,)`. They are cut and padded as the preprocessor does,
      so that the answers are those of `predict`.
    - `text_pair`, likewise, of `text` and `text_pair`.

    Numbers are float32, whatever the model computes in; `label` is an int64
    class, or its name.

    A program that loads a SavedModel with string inputs must `import
    tensorflow_text`, whose operations it uses; else TensorFlow says "Op type
    not registered". TensorFlow Serving has them built in.

    On JAX and PyTorch the model goes to a TensorFlow process as a `.keras`
    file, for which every class in it must be Keras's, KerasHub's, or of this
    library.

    Args:
        model: a `ConvBertBackbone`, `ConvBertMaskedLM`, or
            `ConvBertTextClassifier`.
        path: string or path-like. Folder of the model, with one folder a
            version inside; it is made when it is missing.
        version: int. Number of the version; servers take the highest.
            Defaults to `1`.
        labels: sequence of strings, the names of a classifier's classes;
            with `None` classes are numbers. Defaults to `None`.
        verbose: bool. Whether to print what is being written; it takes
            seconds to a minute. Defaults to `True`.

    Returns:
        The path of the version, a `pathlib.Path`.

    Raises:
        ValueError: if the model is of another class, if a classifier has an
            activation other than softmax, if its preprocessor makes longer
            sequences than the backbone takes, or another argument is wrong.
        FileExistsError: if the version exists.
        ImportError: if TensorFlow or TensorFlow Text is not installed.
        RuntimeError: if the TensorFlow process fails.

    Example:

    ```python
    import tempfile
    import tensorflow as tf
    import tensorflow_text
    from keras_convbert.export import export_saved_model
    from keras_convbert.models import ConvBertBackbone
    from keras_convbert.models import ConvBertTextClassifier
    from keras_convbert.models import ConvBertTextClassifierPreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]
    classifier = ConvBertTextClassifier(
        ConvBertBackbone(
            vocabulary_size=len(tokens),
            num_layers=1,
            num_heads=2,
            hidden_dim=8,
            intermediate_dim=16,
        ),
        num_classes=2,
        preprocessor=ConvBertTextClassifierPreprocessor(
            ConvBertTokenizer(tokens), sequence_length=8
        ),
    )
    path = export_saved_model(
        classifier, tempfile.mkdtemp(), labels=["negative", "positive"]
    )
    served = tf.saved_model.load(path)
    answers = served.signatures["text"](text=tf.constant(["good", "bad"]))
    answers["label"]  # b"negative" or b"positive", twice
    ```

    Reference:
        - [TensorFlow Serving](https://www.tensorflow.org/tfx/guide/serving)
    """
    _check_model(model)
    _check_labels(labels, model)
    target = _target(path, version)
    _check_installed(model)
    with whole_folder(target) as folder:
        if verbose:
            print(_announcement(model, target), flush=True)
        if keras.backend.backend() == "tensorflow":
            write(model, folder, labels)
        else:
            write_in_process(model, folder, labels)
    return target


def _check_model(model: Any) -> None:
    kind_of(model)
    if not isinstance(model, ConvBertTextClassifier):
        return
    activations = keras.activations.linear, keras.activations.softmax
    if model.activation not in activations:
        raise ValueError(
            "Expected a classifier that gives logits or, with "
            '`activation="softmax"`, probabilities. Received: '
            f"model.activation={keras.activations.serialize(model.activation)}"
        )


def _check_labels(labels: Sequence[str] | None, model: Any) -> None:
    if labels is None:
        return
    if not isinstance(model, ConvBertTextClassifier):
        raise ValueError(
            "Expected `labels=None` for a model that is no classifier. "
            f"Received: labels={labels}"
        )
    names = [] if isinstance(labels, str) else list(labels)
    strings = all(isinstance(name, str) for name in names)
    if not strings or len(names) != model.num_classes:
        raise ValueError(
            f"Expected a string for each of the {model.num_classes} classes. "
            f"Received: labels={labels}"
        )


def _target(path: AnyPath, version: int) -> pathlib.Path:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(
            "Invalid value for argument `version`. Expected a positive "
            f"integer. Received: version={version}"
        )
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise ValueError(
            f"Expected the path of a folder. Received: path={path!r}"
        )
    if "://" in os.fspath(path):
        raise ValueError(
            "Expected the path of a folder on this machine, which can be "
            f"copied elsewhere once it is whole. Received: path={path!r}"
        )
    folder = pathlib.Path(path)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            "Expected the path of a folder, or one where nothing is yet. "
            f"Received: path={os.fspath(path)!r}"
        )
    return folder / str(version)


def _check_installed(model: Any) -> None:
    needed = {"tensorflow": "tensorflow"}
    if text_signatures(model):
        needed["tensorflow_text"] = "tensorflow-text"
    for module, package in needed.items():
        if importlib.util.find_spec(module) is None:
            raise ImportError(
                f"A SavedModel is written by the package {package}, whatever "
                f"backend Keras runs on. Install it: `pip install {package}`"
            )


def _announcement(model: Any, target: pathlib.Path) -> str:
    signatures = ", ".join(["serving_default", *text_signatures(model)])
    backend = keras.backend.backend()
    way = "" if backend == "tensorflow" else " in a TensorFlow process"
    return (
        f"Exporting {type(model).__name__} to {target}{way}, with the "
        f"signatures {signatures}"
    )
