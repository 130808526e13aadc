"""Sets of token ids as short strings, for configurations."""

import base64
import binascii
from collections.abc import Sequence

import numpy as np


def pack_ids(ids: Sequence[int]) -> str:
    """Returns ids as one bit per id, in base64."""
    bits = np.zeros(max(ids, default=-1) + 1, bool)
    bits[list(ids)] = True
    return base64.b64encode(np.packbits(bits).tobytes()).decode("ascii")


def unpack_ids(packed: str) -> list[int]:
    """Returns the ids in a string of `pack_ids`, in ascending order.

    Raises:
        ValueError: if the string is not in base64.
    """
    try:
        content = base64.b64decode(packed, validate=True)
    except binascii.Error as error:
        raise ValueError(
            "Expected token ids, or one bit per id in base64. "
            f"Received: {packed!r:.60}"
        ) from error
    bits = np.unpackbits(np.frombuffer(content, "uint8"))
    return [int(i) for i in np.flatnonzero(bits)]
