from typing import Any

import numpy as np

from keras_convbert.text.special_tokens import pad_segments

MASK = "[MASK]"


def masked_inputs(
    tokenizer: Any, texts: list[str], sequence_length: int
) -> dict[str, np.ndarray]:
    """Returns the inputs of a masked LM for texts that contain `[MASK]`.

    Args:
        tokenizer: a tokenizer with `[CLS]`, `[SEP]`, `[MASK]` and `[PAD]`.
        texts: list of strings.
        sequence_length: int. Length of the outputs. Longer texts are cut.

    Returns:
        Dict of int32 arrays: `token_ids`, `segment_ids` and `padding_mask`, of
        shape `(batch, sequence_length)`, and `mask_positions`, of shape
        `(batch, masks)`, where 0 fills the rows of fewer masks.

    Raises:
        ValueError: if a text has no mask, or has one beyond
            `sequence_length`.
    """
    rows = [_pieces(tokenizer, text) for text in texts]
    size = sequence_length - 2
    # `[CLS]` takes position 0.
    positions = [
        np.flatnonzero(np.array(row) == tokenizer.mask_token_id) + 1
        for row in rows
    ]
    for text, found in zip(texts, positions, strict=True):
        last = found.max(initial=0)
        if not 0 < last <= size:
            where = f"at token {last}" if last else "none"
            raise ValueError(
                f"Expected {MASK} in each text, within the first {size} "
                f"tokens. Received: {where} in {text!r:.80}"
            )
    shape = (len(rows), max(map(len, positions), default=0))
    mask_positions = np.zeros(shape, "int32")
    for i, found in enumerate(positions):
        mask_positions[i, : len(found)] = found
    inputs = pad_segments(
        tokenizer, [(row[:size],) for row in rows], sequence_length
    )
    return {**inputs, "mask_positions": mask_positions}


def _pieces(tokenizer: Any, text: str) -> list[int]:
    """Returns the ids of a text, with that of `[MASK]` between its parts."""
    ids: list[int] = []
    for part in text.split(MASK):
        ids += [*tokenizer([part])[0], tokenizer.mask_token_id]
    return ids[:-1]
