"""How a text of more pieces than a sequence holds is cut into windows.

A window of `size` pieces starts every `stride` pieces, until the text ends.
Windows overlap; each piece belongs to the one in whose middle it is, so that
it has words on both sides.
"""

import math
from typing import NamedTuple

from keras_convbert.types import Tensor


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


class Windows(NamedTuple):
    """The windows of all texts of a batch, each field `(windows,)`."""

    texts: Tensor
    """The number of the text."""
    starts: Tensor
    ends: Tensor
    firsts: Tensor
    lasts: Tensor

    def take(self, pieces: Tensor) -> Tensor:
        """Of ragged `(batch, None)`, what is in each window, ragged too."""
        import tensorflow as tf

        # By row numbers: the broadcasting of ragged tensors takes seconds to
        # trace.
        place = tf.ragged.range(self.starts, self.ends)  # (windows, None)
        before = tf.gather(pieces.row_splits, self.texts)
        where = place.flat_values + tf.gather(before, place.value_rowids())
        return place.with_flat_values(tf.gather(pieces.flat_values, where))

    def own(self) -> Tensor:
        """As `take`, whether a piece belongs to the window."""
        import tensorflow as tf

        place = tf.ragged.range(self.starts, self.ends)
        window = place.value_rowids()
        piece = place.flat_values
        return place.with_flat_values(
            (piece >= tf.gather(self.firsts, window))
            & (piece < tf.gather(self.lasts, window))
        )


def windows_in_graph(length: Tensor, size: Tensor, stride: Tensor) -> Windows:
    """The windows of texts of `length` pieces, all of shape `(batch,)`."""
    import tensorflow as tf

    overlap = size - stride
    counts = tf.maximum(-((overlap - length) // stride), 1)
    number = tf.ragged.range(counts)  # (batch, None)
    texts = number.value_rowids()
    number = number.flat_values
    length, size, stride, counts = (
        tf.gather(part, texts) for part in (length, size, stride, counts)
    )
    margin = (size - stride) // 2
    starts = number * stride
    return Windows(
        texts,
        starts,
        tf.minimum(starts + size, length),
        tf.where(number == 0, starts, starts + margin),
        tf.where(number == counts - 1, length, starts + stride + margin),
    )
