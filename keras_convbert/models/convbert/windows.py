"""How a text of more pieces than a sequence holds is cut into windows.

A window of `size` pieces starts every `stride` pieces, until the text ends.
Windows overlap; each piece belongs to the one in whose middle it is, so that
it has words on both sides.
"""

import math
from typing import NamedTuple


class Window(NamedTuple):
    """Pieces `start` to `end` of a text; `first` to `last` belong to it."""

    start: int
    end: int
    first: int
    last: int


def windows_of(length: int, size: int, stride: int) -> list[Window]:
    """The windows of a text of `length` pieces; one at least."""
    overlap = size - stride
    count = max(1, math.ceil((length - overlap) / stride))
    margin = overlap // 2
    return [
        Window(
            start=i * stride,
            end=min(i * stride + size, length),
            first=i * stride + margin if i else 0,
            last=(i + 1) * stride + margin if i < count - 1 else length,
        )
        for i in range(count)
    ]
