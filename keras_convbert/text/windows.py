"""Cuts a text that is longer than a sequence into overlapping windows.

A window of `size` pieces starts every `stride` pieces, until the text ends.
Each piece belongs to the window in whose middle it is, so that it has context
on both sides.
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
    """Returns the windows of a text of `length` pieces, at least one."""
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


# In a TensorFlow graph


class Windows(NamedTuple):
    """The windows of all texts of a batch, each field `(windows,)`."""

    texts: Tensor
    """The number of the text."""
    starts: Tensor
    ends: Tensor
    firsts: Tensor
    lasts: Tensor

    def part(self, first: Tensor, last: Tensor) -> "Windows":
        """Returns the windows from number `first` to before `last`."""
        return Windows(*(field[first:last] for field in self))

    def longest(self) -> Tensor:
        """Returns the pieces of the longest window, a scalar int32 tensor."""
        import tensorflow as tf

        # Without windows, the maximum is the least integer.
        longest = tf.maximum(tf.reduce_max(self.ends - self.starts), 1)
        return tf.cast(longest, "int32")

    def take(self, pieces: Tensor) -> Tensor:
        """Returns the pieces of each window, ragged `(windows, None)`.

        Args:
            pieces: ragged tensor of shape `(batch, None)`.
        """
        import tensorflow as tf

        # By flat indices: broadcasting ragged tensors takes seconds to trace.
        piece = tf.ragged.range(self.starts, self.ends)  # (windows, None)
        row_start = tf.gather(pieces.row_splits, self.texts)
        index = piece.flat_values + tf.gather(row_start, piece.value_rowids())
        return piece.with_flat_values(tf.gather(pieces.flat_values, index))

    def own(self) -> Tensor:
        """Returns whether each piece belongs to its window, as `take`."""
        import tensorflow as tf

        piece = tf.ragged.range(self.starts, self.ends)
        window = piece.value_rowids()
        return piece.with_flat_values(
            (piece.flat_values >= tf.gather(self.firsts, window))
            & (piece.flat_values < tf.gather(self.lasts, window))
        )


def windows_in_graph(length: Tensor, size: Tensor, stride: Tensor) -> Windows:
    """Returns the windows of texts, as `windows_of`.

    Args:
        length: integer tensor of shape `(batch,)`, the pieces of each text.
        size: as `length`, the pieces of a window.
        stride: as `length`, the pieces from one start to the next.
    """
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
