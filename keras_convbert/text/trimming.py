"""Truncates the segments of a sequence together, in TensorFlow graphs."""

from collections.abc import Sequence

from keras_convbert.types import Tensor


def trim_round_robin_in_graph(
    segments: Sequence[Tensor], budget: int
) -> list[Tensor]:
    """Keeps `budget` items per row: one of each segment, then the next ones.

    It does the same as `tensorflow_text.RoundRobinTrimmer`, with operations
    of TensorFlow itself. Servers with an old TensorFlow Text do not have the
    operation of that class.

    Args:
        segments: sequence of ragged tensors of shape `(batch, None)`.
        budget: int. Maximum number of items per row, over all segments.

    Returns:
        List of ragged tensors, one per segment.
    """
    import tensorflow as tf

    lengths = [segment.row_lengths() for segment in segments]
    trimmed = []
    for number, segment in enumerate(segments):
        row = segment.value_rowids()
        index = tf.range(tf.size(row, row.dtype)) - tf.gather(
            segment.row_starts(), row
        )
        # Round k takes item k of each segment that has one, in order.
        earlier = tf.add_n(
            [
                tf.minimum(
                    tf.gather(length, row),
                    index + 1 if other < number else index,
                )
                for other, length in enumerate(lengths)
            ]
        )
        kept = segment.with_flat_values(earlier < budget)
        trimmed.append(tf.ragged.boolean_mask(segment, kept))
    return trimmed
