"""`windows` by TensorFlow operations."""

from typing import NamedTuple

from keras_convbert.types import Tensor


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
