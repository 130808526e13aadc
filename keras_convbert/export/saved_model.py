import os
import pathlib
from collections.abc import Sequence
from typing import Any

import keras
import keras_hub

from keras_convbert.export.request_limits import RequestLimits
from keras_convbert.export.requests import Texts
from keras_convbert.export.requests import default_texts
from keras_convbert.export.served_model import served_model
from keras_convbert.export.signatures import DEFAULT
from keras_convbert.export.signatures import export_kind
from keras_convbert.export.signatures import model_title
from keras_convbert.export.signatures import text_signatures
from keras_convbert.export.stored_weights import STORED_DTYPES
from keras_convbert.export.writing import check_installed
from keras_convbert.export.writing import process_note
from keras_convbert.export.writing import write
from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_folder
from keras_convbert.models.base.problem_types import REGRESSION
from keras_convbert.models.base.problem_types import problem_type_of


def export_saved_model(
    model: keras.Model,
    path: AnyPath,
    version: int = 1,
    signatures: Sequence[str] | str = "auto",
    labels: Sequence[str] | None = None,
    warmup: Texts | None = None,
    dtype: str | None = None,
    verbose: bool = True,
    preprocessor: keras_hub.models.Preprocessor | None = None,
    max_rows: int = 1024,
    max_text_bytes: int = 1048576,
    max_windows: int = 1024,
) -> pathlib.Path:
    """Writes a model as a SavedModel for TensorFlow and TensorFlow Serving.

    The SavedModel in `path/<version>` runs without Keras and without this
    library. The folder is written atomically and stores each weight once. It
    also contains a `README.md`, which shows a request for each signature, and
    requests that warm up the server.

    A SavedModel has these signatures:

    - `serving_default`, for every model. It takes the inputs of the model as
      int32 of shape `(batch, length)`, with any length up to the
      `max_sequence_length` of the backbone. A `ConvBertBackbone` returns
      `sequence_output` and `pooled_output`; a `ConvBertMaskedLM` returns
      `logits`; a `ConvBertTokenClassifier` returns `logits` and
      `probabilities`; a `ConvBertQuestionAnswerer` returns the scores of its
      call; other tasks return the outputs of `text`.
    - `text`, for `ConvBertTextClassifier` and `ConvBertTextEmbedder`. It takes
      `text`, UTF-8 strings of shape `(batch,)`. A classifier returns `logits`
      and `probabilities` of shape `(batch, num_classes)`, and `label` of shape
      `(batch,)`. In multi-label classification, `label` has shape `(batch,
      num_classes)`: the name of each class with a probability over 0.5 (1
      without names), and `""` (0) for the others. The only output of a
      regression model is `score`, of shape `(batch,)`, or `(batch,
      num_classes)` with several outputs. An embedder returns `embedding` of
      shape `(batch, hidden_dim)`.
    - `text_pair`, for `ConvBertTextClassifier`. It takes `text` and
      `text_pair`, and returns the outputs of `text`.
    - `tokens`, for `ConvBertTokenClassifier`. It takes `text` and returns
      `label`, `probability`, `start` and `end` of shape `(batch, words)`.
      Words are those of the BERT tokenizer, which splits at spaces,
      punctuation and CJK characters. `start` and `end` are positions in code
      points. After the last word of a text, the values are `""`, 0 and -1.
    - `question_answer`, for `ConvBertQuestionAnswerer`. It takes `question`
      and `context`, and returns the outputs of `predict_answers`, `text`,
      `start`, `end` and `score`, and also `no_answer`, which `predict_answers`
      compares with `threshold`, all of shape `(batch,)`.

    Your own model returns its outputs, under the keys of a dict or the names of
    the output layers. With `preprocessor`, it also has the signatures `text`
    and `text_pair`; for a preprocessor that does not pack pairs, pass
    `signatures=["serving_default", "text"]`.

    All signatures except `serving_default` need a preprocessor. They truncate
    and pad strings as it does, so the outputs equal those of `predict`. Float
    outputs are float32 for every compute dtype. `label` is a string if
    `labels` is given or the model has labels, and int64 otherwise.

    A program that loads a SavedModel with string inputs must `import
    tensorflow_text` to register its operations; otherwise TensorFlow raises
    "Op type not registered". TensorFlow Serving has these operations built in.

    A SavedModel tokenizes and computes in parts, so that memory does not grow
    with the length of texts, and refuses requests over the limits below.

    On JAX and PyTorch, a TensorFlow process reads the model from a `.keras`
    file, so all its classes must belong to Keras, KerasHub or this library; a
    `Lambda` layer is not allowed.

    Args:
        model: a `ConvBertBackbone`, a task that has one, or your own
            functional `keras.Model(backbone.input, outputs)`, whose outputs
            are a tensor, a list or a dict.
        path: string or path-like. Folder of the model, with one folder per
            version; it is created if it is missing. The name of the folder is
            the model name in the requests.
        version: int. Number of the version. Servers load the highest version.
            Defaults to `1`.
        signatures: sequence of strings. Names of the signatures to write;
            `"auto"` selects all that the model supports. Without
            `"serving_default"`, that name is an alias of the first signature.
            Defaults to `"auto"`.
        labels: sequence of strings. Names of the classes of a classifier;
            `None` uses the `labels` of the model, and numbers if it has none.
            Defaults to `None`.
        warmup: sequence of strings, or of pairs of strings, that resemble real
            requests. Each one makes a warmup request for each signature on
            strings; `None` uses a short text and a long text, cut to the
            limits. Defaults to `None`.
        dtype: string. Storage dtype of the weights: `"float16"` or
            `"bfloat16"` (half the size of float32), or `"int8"` (a quarter).
            The compute dtype does not change. `None` keeps the dtype of each
            weight. Defaults to `None`.
        verbose: bool. Whether to print a line before the export, which takes
            between seconds and a minute. Defaults to `True`.
        preprocessor: the preprocessor of your own model, such as a
            `ConvBertTextClassifierPreprocessor`. A task has its own. Defaults
            to `None`.
        max_rows: int. Maximum number of rows (texts, or sequences of ids) per
            request. Defaults to `1024`.
        max_text_bytes: int. Maximum number of bytes per text. Defaults to
            `1048576`.
        max_windows: int. Maximum number of windows per text in `tokens` and
            `question_answer`. Defaults to `1024`.

    Returns:
        The path of the version, a `pathlib.Path`.

    Raises:
        ValueError: if the model is of an unsupported class, does not support
            a signature, is a classifier with an unsupported activation, or
            cannot be read by the TensorFlow process; if the preprocessor does
            not fit; or if another argument is invalid.
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
    model = served_model(model, preprocessor)
    _check_model(model)
    chosen = _chosen(signatures, model)
    names = _checked_labels(labels, model)
    limits = RequestLimits(max_rows, max_text_bytes, max_windows)
    limits.check()
    warmup = default_texts(limits) if warmup is None else warmup
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
                f"Exporting {model_title(model)} to {target}"
                f"{process_note('saved_model')}, with the signatures "
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
            limits=limits._asdict(),
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
            "Expected a classifier with a linear activation (logits), or "
            'with "softmax" or "sigmoid" (probabilities). Received: '
            f"model.activation={keras.activations.serialize(model.activation)}"
        )


def _chosen(signatures: Sequence[str] | str, model: Any) -> list[str]:
    possible = [DEFAULT, *text_signatures(model)]
    if signatures == "auto":
        return possible
    names = [] if isinstance(signatures, str) else list(signatures)
    if not names or not set(names) <= {*possible}:
        raise ValueError(
            f'Expected `signatures` to be "auto", or names from {possible}, '
            "the signatures that this model supports (those on strings need a "
            "preprocessor). "
            f"Received: signatures={signatures!r}"
        )
    return [name for name in possible if name in names]


def _checked_labels(
    labels: Sequence[str] | None, model: Any
) -> list[str] | None:
    classifier = (
        model.task_kind == "text_classifier"
        and problem_type_of(model) != REGRESSION
    )
    if labels is None:
        return getattr(model, "labels", None) if classifier else None
    if not classifier:
        raise ValueError(
            "Expected `labels=None` for a model that is not a classifier, is "
            "a regression model, or has its own labels. "
            f"Received: labels={labels}, model={model_title(model)}"
        )
    names = [] if isinstance(labels, str) else list(labels)
    strings = all(map(_is_text, names))
    if not strings or not len(names) == len({*names}) == model.num_classes:
        raise ValueError(
            "Expected `labels` to have a unique string for each of the "
            f"{model.num_classes} classes. Received: labels={labels!r}"
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
            "Expected `warmup` to have at least one item, each a valid "
            f"Unicode string or a pair of them. Received: warmup={warmup!r:.80}"
        )


def _is_text(value: Any) -> bool:
    """Returns whether a value is a string that UTF-8 can encode."""
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
            "Expected `path` to be the path of a folder. "
            f"Received: path={path!r}"
        )
    if "://" in os.fspath(path):
        raise ValueError(
            "Expected `path` to be a local folder. Copy the folder to remote "
            f"storage after the export. Received: path={path!r}"
        )
    folder = pathlib.Path(path)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(
            "Expected `path` to be a folder or not to exist. "
            f"Received: path={os.fspath(path)!r}"
        )
    target = folder / str(version)
    if target.exists():
        raise FileExistsError(
            "Expected a `version` that does not exist yet. "
            f"Received: version={version}, path={os.fspath(path)!r}"
        )
    return target
