"""Checks of inputs that preprocessors and tasks share."""

from typing import Any

TRUNCATIONS = ("round_robin", "waterfall")


def check_packing(sequence_length: int, truncate: str = TRUNCATIONS[0]) -> None:
    """Raises `ValueError` unless sequences can have this length."""
    if not isinstance(sequence_length, int) or sequence_length < 3:
        raise ValueError(
            "Invalid value for argument `sequence_length`. Expected an "
            "integer of at least 3: a token between `[CLS]` and `[SEP]`. "
            f"Received: sequence_length={sequence_length}"
        )
    if truncate not in TRUNCATIONS:
        raise ValueError(
            "Invalid value for argument `truncate`. Expected one of "
            f"{TRUNCATIONS}. Received: truncate={truncate}"
        )


def check_windows(tokenizer: Any, size: int, stride: int | None) -> None:
    """Raises `ValueError` unless texts can be cut into such windows."""
    if tokenizer.sequence_length is not None:
        raise ValueError(
            "Expected a tokenizer that does not cut texts. Received: "
            f"tokenizer.sequence_length={tokenizer.sequence_length}"
        )
    if stride is not None and not (
        isinstance(stride, int) and 0 < stride <= size
    ):
        raise ValueError(
            "Invalid value for argument `stride`. Expected a positive integer "
            f"of at most {size}, the pieces in a window. "
            f"Received: stride={stride}"
        )


def check_fits(backbone: Any, preprocessor: Any) -> None:
    """Raises `ValueError` if a preprocessor does not fit a backbone.

    Ids beyond the vocabulary would be an error of the backend, and on JAX NaN
    without a message.
    """
    if preprocessor is None:
        return
    length = preprocessor.sequence_length
    if length > backbone.max_sequence_length:
        raise ValueError(
            "Expected a preprocessor of sequences no longer than the "
            f"backbone's max_sequence_length={backbone.max_sequence_length}. "
            f"Received: preprocessor.sequence_length={length}"
        )
    tokenizer = preprocessor.tokenizer
    if tokenizer.vocabulary is not None:
        check_vocabulary_size(backbone, tokenizer.vocabulary_size())


def check_vocabulary_size(backbone: Any, size: int) -> None:
    """Raises `ValueError` if a vocabulary is larger than the embeddings."""
    if size > backbone.vocabulary_size:
        raise ValueError(
            "Expected a vocabulary no larger than the backbone's "
            f"vocabulary_size={backbone.vocabulary_size}. Received: a "
            f"vocabulary of {size} tokens"
        )


def check_texts(x: Any) -> None:
    """Raises `ValueError` unless `x` is texts, or a tuple of two of them."""
    parts = x if isinstance(x, tuple) else (x,)
    if len(parts) not in (1, 2):
        raise ValueError(
            "Expected one text, or a tuple of two: there are two segment "
            "ids. (A batch of texts is a list, an array or a tensor.) "
            f"Received: x of {len(parts)} parts"
        )
    shapes = [_shape(part) for part in parts]
    known = [shape for shape in shapes if None not in shape]
    if any(len(shape) > 1 or 0 in shape for shape in shapes) or (
        len(set(known)) > 1
    ):
        raise ValueError(
            "Expected strings, or batches of at least one string; for pairs a "
            "tuple of two such of the same length, the first texts and the "
            f"second ones. Received: x of the shapes {shapes}"
        )


def _shape(texts: Any) -> tuple[int | None, ...]:
    """The known shape; the tokenizer refuses what is not text."""
    if isinstance(texts, list):
        return (len(texts), *(_shape(texts[0]) if texts else ()))
    shape = getattr(texts, "shape", ())
    if getattr(shape, "rank", 0) is None:
        return (None,)
    return tuple(shape)


def check_words(x: Any) -> list[list[str]]:
    """Sentences as lists of words; raises `ValueError` if `x` is not."""
    rows = x.to_list() if hasattr(x, "to_list") else x
    if hasattr(rows, "tolist"):
        rows = rows.tolist()
    sentences = rows if isinstance(rows, (list, tuple)) else [rows]
    for sentence in sentences:
        if not isinstance(sentence, (list, tuple)) or not all(
            isinstance(word, (str, bytes)) for word in sentence
        ):
            raise ValueError(
                "Expected sentences as words: a list of lists of strings, or "
                f"a ragged tensor. Received: {sentence!r} for a sentence"
            )
    return [list(sentence) for sentence in sentences]
