import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras

from keras_convbert.export.requests import DEFAULT_TEXTS
from keras_convbert.export.requests import Texts
from keras_convbert.export.signatures import DEFAULT
from keras_convbert.export.signatures import export_kind
from keras_convbert.export.signatures import text_signatures
from keras_convbert.export.stored_weights import STORED_DTYPES
from keras_convbert.export.writing import check_installed
from keras_convbert.export.writing import place
from keras_convbert.export.writing import write
from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_folder


def export_saved_model(
    model: keras.Model,
    path: AnyPath,
    version: int = 1,
    signatures: Sequence[str] | str = "auto",
    labels: Sequence[str] | None = None,
    warmup: Texts | None = None,
    dtype: str | None = None,
    verbose: bool = True,
) -> pathlib.Path:
    """Writes a model as a SavedModel, which TensorFlow alone can serve.

    What is written to `path/<version>` runs in TensorFlow and TensorFlow
    Serving, without Keras and without this library. It is there whole, or not
    at all. Each weight is stored once. With it go a `README.md` with the
    request for each signature, and requests by which the server warms up.

    The signatures, and what they take and give:

    - `serving_default`, of every model: the inputs of the model, int32 of
      shape `(batch, length)`, of any length up to the backbone's
      `max_sequence_length`. A `ConvBertBackbone` gives `sequence_output` and
      `pooled_output`; a `ConvBertMaskedLM` `logits`; a
      `ConvBertTokenClassifier` `logits` and `probabilities`; a
      `ConvBertQuestionAnswerer` the scores of its call; others as for `text`.
    - `text`, of strings in UTF-8, `text`, of shape `(batch,)`. A
      `ConvBertTextClassifier` gives `logits` and `probabilities`, both
      `(batch, num_classes)`, and `label`, `(batch,)`; with the activation
      `"sigmoid"` the `label`, `(batch, num_classes)`, tells of each class
      whether it holds; with one class the number alone is given, `score`. A
      `ConvBertTextEmbedder` gives `embedding`, `(batch, hidden_dim)`.
    - `text_pair`, of a classifier: likewise, of `text` and `text_pair`.
    - `tokens`, of a `ConvBertTokenClassifier`: of `text`, for each word that
      BERT's tokenizer splits it into, at spaces, punctuation and CJK
      characters, `label` and its `probability`, `start` and `end`, the place
      of the word in code points, all `(batch, words)`; after a text's last
      word `""`, 0 and -1.
    - `question_answer`, of a `ConvBertQuestionAnswerer`: of `question` and
      `context`, what `predict_answers` gives for them, `text`, `start`,
      `end`, `score`, and `no_answer`, which `threshold` is compared with
      there, all `(batch,)`.

    All but `serving_default` need the model's preprocessor, and cut and pad
    strings as it does: the answers are those of `predict`. Numbers are
    float32, whatever the model computes in; `label` is a name, or an int64
    where none was given.

    A program that loads a SavedModel with string inputs must `import
    tensorflow_text`, whose operations it uses; else TensorFlow says "Op type
    not registered". TensorFlow Serving has them built in.

    On JAX and PyTorch the model goes to a TensorFlow process as a `.keras`
    file, for which every class in it must be Keras's, KerasHub's, or of this
    library.

    Args:
        model: a `ConvBertBackbone`, or a task of it.
        path: string or path-like. Folder of the model, with one folder a
            version inside; it is made when it is missing. Its name is the
            model's in the requests that are written.
        version: int. Number of the version; servers take the highest.
            Defaults to `1`.
        signatures: sequence of strings, of the names above; `"auto"` is all
            that the model can have. Without `"serving_default"`, the first
            of the others goes by that name too. Defaults to `"auto"`.
        labels: sequence of strings, the names of a classifier's classes;
            with `None` classes are numbers. Defaults to `None`.
        warmup: sequence of strings, or of pairs of them, such as will be
            asked: each makes a request for each signature of strings; `None`
            is a short one and a longer one. Defaults to `None`.
        dtype: string. What weights are stored as: `"float16"` or
            `"bfloat16"`, half as large, or `"int8"`, a quarter; they are
            computed with as before. `None` leaves them. Defaults to `None`.
        verbose: bool. Whether to print what is being written; it takes
            seconds to a minute. Defaults to `True`.

    Returns:
        The path of the version, a `pathlib.Path`.

    Raises:
        ValueError: if the model is of another class or cannot have a
            signature, if a classifier has an activation that is none of
            those above, or another argument is wrong.
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
    chosen = _chosen(signatures, model)
    names = _checked_labels(labels, model)
    warmup = DEFAULT_TEXTS if warmup is None else warmup
    _check_warmup(warmup)
    if dtype is not None and dtype not in STORED_DTYPES:
        raise ValueError(
            f"Invalid value for argument `dtype`. Expected one of "
            f"{STORED_DTYPES}, or `None`. Received: dtype={dtype!r}"
        )
    target = _target(path, version)
    strings = [name for name in chosen if name != DEFAULT]
    check_installed("saved_model", ("tensorflow-text",) if strings else ())
    with atomic_folder(target) as folder:
        if verbose:
            print(
                f"Exporting {type(model).__name__} to {target}"
                f"{place('saved_model')}, with the signatures "
                f"{', '.join(chosen)}",
                flush=True,
            )
        write(
            "saved_model",
            model,
            folder,
            name=target.parent.resolve().name,
            version=version,
            signatures=chosen,
            warmup=[*warmup],
            labels=names,
            dtype=dtype,
        )
    return target


def _check_model(model: Any) -> None:
    export_kind(model)
    if model.task_kind != "text_classifier":
        return
    if model.activation not in (
        keras.activations.linear,
        keras.activations.softmax,
        keras.activations.sigmoid,
    ):
        raise ValueError(
            "Expected a classifier that gives logits or, with the activation "
            '"softmax" or "sigmoid", probabilities. Received: '
            f"model.activation={keras.activations.serialize(model.activation)}"
        )


def _chosen(signatures: Sequence[str] | str, model: Any) -> list[str]:
    possible = [DEFAULT, *text_signatures(model)]
    if signatures == "auto":
        return possible
    names = [] if isinstance(signatures, str) else list(signatures)
    if not names or not set(names) <= {*possible}:
        raise ValueError(
            f'Expected `signatures="auto"`, or some of {possible}, which this '
            "model can have (those of strings if it has a preprocessor). "
            f"Received: signatures={signatures!r}"
        )
    return [name for name in possible if name in names]


def _checked_labels(
    labels: Sequence[str] | None, model: Any
) -> list[str] | None:
    if labels is None:
        return None
    if model.task_kind != "text_classifier" or model.num_classes == 1:
        raise ValueError(
            "Expected `labels=None` for a model that is no classifier, or "
            f"that has its labels. Received: labels={labels}, and a "
            f"{type(model).__name__}"
        )
    names = [] if isinstance(labels, str) else list(labels)
    strings = all(map(_is_text, names))
    if not strings or not len(names) == len({*names}) == model.num_classes:
        raise ValueError(
            f"Expected a string of its own for each of the {model.num_classes} "
            f"classes. Received: labels={labels!r}"
        )
    return names


def _check_warmup(warmup: Texts) -> None:
    def is_sample(sample: Any) -> bool:
        parts = (sample,) if isinstance(sample, str) else sample
        return (
            isinstance(parts, (tuple, list))
            and len(parts) in (1, 2)
            and all(map(_is_text, parts))
            and (isinstance(sample, str) or len(parts) == 2)
        )

    if isinstance(warmup, str) or not warmup or not all(map(is_sample, warmup)):
        raise ValueError(
            "Expected at least one string of Unicode, or pair, to warm up "
            f"with. Received: warmup={warmup!r:.80}"
        )


def _is_text(value: Any) -> bool:
    """Whether it is a string that UTF-8 can hold."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _target(path: AnyPath, version: int) -> pathlib.Path:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(
            "Invalid value for argument `version`. Expected a positive "
            f"integer. Received: version={version!r}"
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
    target = folder / str(version)
    if target.exists():
        raise FileExistsError(
            "Expected a version that is not there yet. "
            f"Received: version={version}, path={os.fspath(path)!r}"
        )
    return target
