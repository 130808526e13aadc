from typing import Any

import numpy as np

MASK = "[MASK]"


def masked_inputs(
    tokenizer: Any, texts: list[str], sequence_length: int
) -> dict[str, np.ndarray]:
    """The inputs of a masked LM for texts in which `[MASK]` stands.

    `mask_positions`, `(batch, masks)`, are 0 where there is no mask more.

    Raises:
        ValueError: if a text has none, or one beyond `sequence_length`.
    """
    rows = [_row(tokenizer, text) for text in texts]
    shape = (len(rows), sequence_length)
    token_ids = np.full(shape, tokenizer.pad_token_id, "int32")
    padding_mask = np.zeros(shape, "int32")
    places = []
    for i, row in enumerate(rows):
        places.append(np.flatnonzero(np.array(row) == tokenizer.mask_token_id))
        last = places[-1].max(initial=0)
        if not 0 < last < sequence_length - 1:
            where = f"at token {last}" if last else "none"
            raise ValueError(
                f"Expected {MASK} in each text, within the first "
                f"{sequence_length - 2} tokens. Received: {where} in "
                f"{texts[i]!r:.80}"
            )
        ids = [*row[: sequence_length - 1], tokenizer.sep_token_id]
        token_ids[i, : len(ids)] = ids
        padding_mask[i, : len(ids)] = 1
    positions = np.zeros((len(rows), max(map(len, places), default=0)), "int32")
    for i, found in enumerate(places):
        positions[i, : len(found)] = found
    return {
        "token_ids": token_ids,
        "segment_ids": np.zeros(shape, "int32"),
        "padding_mask": padding_mask,
        "mask_positions": positions,
    }


def _row(tokenizer: Any, text: str) -> list[int]:
    """`[CLS]`, and the pieces of the text with `[MASK]` between."""
    row = [tokenizer.cls_token_id]
    for part in text.split(MASK):
        row += [*tokenizer([part])[0], tokenizer.mask_token_id]
    return row[:-1]
