"""The checks that the preprocessors share."""

from typing import Any

TRUNCATIONS = ("round_robin", "waterfall")


def check_packing(sequence_length: int, truncate: str = TRUNCATIONS[0]) -> None:
    """Raises `ValueError` if no sequence can be packed so."""
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
    """Raises `ValueError` if texts cannot be cut into windows so."""
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
    """Raises `ValueError` if a backbone cannot take what is prepared for it.

    Ids beyond its vocabulary would be an error of the backend's, or, on JAX,
    NaN in silence.
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
    """Raises `ValueError` if there are ids that a backbone does not know."""
    if size > backbone.vocabulary_size:
        raise ValueError(
            "Expected a vocabulary no larger than the backbone's "
            f"vocabulary_size={backbone.vocabulary_size}. Received: a "
            f"vocabulary of {size} tokens"
        )


def check_dataset(backbone: Any, dataset: Any) -> None:
    """Raises `ValueError` if a backbone would take rows for what they are not.

    Of datasets that do not tell of their rows nothing is known.
    """
    if hasattr(dataset, "vocabulary_size"):
        check_vocabulary_size(backbone, dataset.vocabulary_size)
    gap = getattr(dataset, "gap", None)
    if gap is None:
        return
    if not backbone.packed:
        raise ValueError(
            "Expected a backbone of `packed=True` for rows that several "
            f"sequences share. Received: packed={backbone.packed}"
        )
    if backbone.conv and gap < backbone.kernel_size // 2:
        raise ValueError(
            "Expected rows with padding of at least "
            f"{backbone.kernel_size // 2} between their sequences, as from "
            f"`prepare(..., pack=True, kernel_size={backbone.kernel_size})`. "
            f"Received: padding of {gap}"
        )


def check_texts(x: Any) -> None:
    """Raises `ValueError` unless `x` is texts, or a tuple of two such."""
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
    """As far as it is known; what is no text is left to the tokenizer."""
    if isinstance(texts, list):
        return (len(texts), *(_shape(texts[0]) if texts else ()))
    shape = getattr(texts, "shape", ())
    if getattr(shape, "rank", 0) is None:
        return (None,)
    return tuple(shape)


def check_words(x: Any) -> list[list[str]]:
    """Sentences as lists of words; raises `ValueError` if `x` is none."""
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
