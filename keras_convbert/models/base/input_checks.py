"""Input checks shared by preprocessors and tasks."""

from typing import Any

from keras_convbert.text.columns import as_column
from keras_convbert.text.columns import as_list
from keras_convbert.text.columns import is_column

TRUNCATIONS = ("round_robin", "waterfall")


def check_packing(sequence_length: int, truncate: str = TRUNCATIONS[0]) -> None:
    """Raises `ValueError` if packing arguments are invalid."""
    if not isinstance(sequence_length, int) or sequence_length < 3:
        raise ValueError(
            "Invalid value for argument `sequence_length`. Expected an "
            "integer of at least 3, which fits `[CLS]`, a token and `[SEP]`. "
            f"Received: sequence_length={sequence_length!r}"
        )
    if truncate not in TRUNCATIONS:
        raise ValueError(
            "Invalid value for argument `truncate`. Expected one of "
            f"{TRUNCATIONS}. Received: truncate={truncate!r}"
        )


def check_windows(tokenizer: Any, size: int, stride: int | None) -> None:
    """Raises `ValueError` if texts cannot be cut into such windows."""
    if tokenizer.sequence_length is not None:
        raise ValueError(
            "Expected a tokenizer that does not cut texts, with "
            "`sequence_length=None`. Received: "
            f"tokenizer.sequence_length={tokenizer.sequence_length}"
        )
    if stride is not None and not (
        isinstance(stride, int) and 0 < stride <= size
    ):
        raise ValueError(
            "Invalid value for argument `stride`. Expected a positive integer "
            f"of at most {size}, the number of pieces per window. "
            f"Received: stride={stride!r}"
        )


def check_fits(backbone: Any, preprocessor: Any) -> None:
    """Raises `ValueError` if a preprocessor does not fit a backbone.

    Ids beyond the embedding table raise an error of the backend. On JAX they
    give NaN without an error.
    """
    if preprocessor is None:
        return
    length = preprocessor.sequence_length
    if length > backbone.max_sequence_length:
        raise ValueError(
            "Expected a preprocessor with a `sequence_length` of at most "
            f"max_sequence_length={backbone.max_sequence_length}, the limit "
            "of the backbone. "
            f"Received: preprocessor.sequence_length={length}"
        )
    tokenizer = preprocessor.tokenizer
    if tokenizer.vocabulary is not None:
        check_vocabulary_size(backbone, tokenizer.vocabulary_size())


def check_vocabulary_size(backbone: Any, size: int) -> None:
    """Raises `ValueError` if a vocabulary is larger than the embeddings."""
    if size > backbone.vocabulary_size:
        raise ValueError(
            "Expected a vocabulary of at most "
            f"vocabulary_size={backbone.vocabulary_size} tokens, the limit "
            "of the backbone. For added tokens, call "
            f"`resize_token_embeddings({size})` of the backbone or the task. "
            f"Received: a vocabulary of {size} tokens"
        )


def check_texts(x: Any) -> Any:
    """Returns a batch of texts, or a pair of these, as lists or tensors.

    Raises:
        ValueError: if it is anything else.
    """
    pair = isinstance(x, tuple)
    parts = tuple(as_column(part) for part in (x if pair else (x,)))
    if len(parts) not in (1, 2):
        raise ValueError(
            "Expected `x` to be one text, or a tuple of two texts, since "
            "there are two segment ids. A batch of texts is a list, an array "
            f"or a tensor. Received: x with {len(parts)} parts"
        )
    shapes = [_shape(part) for part in parts]
    known = [shape for shape in shapes if None not in shape]
    if any(len(shape) > 1 for shape in shapes) or len(set(known)) > 1:
        raise ValueError(
            "Expected `x` to be a string or a batch of strings, or a tuple of "
            "two of these with equal lengths, the first and the second texts. "
            f"Received: x with shapes {shapes}"
        )
    return parts if pair else parts[0]


def _shape(texts: Any) -> tuple[int | None, ...]:
    """Returns the known part of the shape; the tokenizer checks the dtype."""
    if isinstance(texts, list):
        return (len(texts), *(_shape(texts[0]) if texts else ()))
    shape = getattr(texts, "shape", ())
    if getattr(shape, "rank", 0) is None:
        return (None,)
    return tuple(shape)


def check_words(x: Any) -> list[list[str]]:
    """Returns sentences as lists of words, or raises `ValueError`."""
    sentences = []
    for given in as_list(x) if is_column(x) or isinstance(x, tuple) else [x]:
        sentence = as_list(given) if is_column(given) else given
        if isinstance(sentence, tuple):
            sentence = list(sentence)
        if not isinstance(sentence, list) or not all(
            isinstance(word, (str, bytes)) for word in sentence
        ):
            raise ValueError(
                "Expected `x` to be sentences of words, a list of lists of "
                "strings or a ragged tensor. "
                f"Received: sentence={sentence!r}"
            )
        sentences.append(sentence)
    return sentences
