"""`question_rows` by TensorFlow operations."""

from typing import Any
from typing import NamedTuple

from keras_convbert.models.convbert.windows_in_graph import windows_in_graph
from keras_convbert.types import Tensor


class QuestionRows(NamedTuple):
    """The windows of all contexts, `rows` of them."""

    samples: Tensor
    """`(rows,)`"""
    questions: Tensor
    """Ids, ragged, `(rows, None)`."""
    contexts: Tensor
    starts: Tensor
    ends: Tensor
    own: Tensor
    """As `contexts`, whether a piece belongs to the window."""

    @property
    def offset(self) -> Tensor:
        """The places of the windows' first pieces in the sequences."""
        import tensorflow as tf

        return tf.cast(self.questions.row_lengths(), "int32") + 2

    def targets(self, starts: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """The places of the answers to the samples, as `QuestionRow.target`.

        Args:
            starts: first characters `(samples,)`, -1 for no answer.
            ends: the characters after the last.
        """
        import tensorflow as tf

        start = tf.gather(starts, self.samples)[:, None]
        end = tf.gather(ends, self.samples)[:, None]
        first = tf.reduce_sum(tf.cast(self.ends <= start, "int32"), axis=1)
        before = tf.reduce_sum(tf.cast(self.starts < end, "int32"), axis=1)
        whole = (
            (start[:, 0] >= 0)
            & (first < before)
            & (tf.reduce_min(self.starts, axis=1) <= start[:, 0])
            & (tf.reduce_max(self.ends, axis=1) >= end[:, 0])
        )
        return (
            tf.where(whole, self.offset + first, 0),
            tf.where(whole, self.offset + before - 1, 0),
        )


def question_rows_in_graph(
    tokenizer: Any,
    questions: Tensor,
    contexts: Tensor,
    sequence_length: int,
    max_question_length: int,
    stride: int,
) -> QuestionRows:
    """Makes them of strings `(batch,)`."""
    import tensorflow as tf

    asked = tokenizer(questions)[:, :max_question_length]
    ids, starts, ends = tokenizer.tokenize_with_offsets(contexts)
    size = sequence_length - asked.row_lengths() - 3
    windows = windows_in_graph(
        ids.row_lengths(), size, tf.minimum(tf.cast(stride, size.dtype), size)
    )
    return QuestionRows(
        windows.texts,
        tf.gather(asked, windows.texts),
        windows.take(ids),
        windows.take(starts),
        windows.take(ends),
        windows.own(),
    )
