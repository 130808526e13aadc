from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_convbert.compat import preprocessing_function
from keras_convbert.models.base.input_checks import check_packing
from keras_convbert.models.base.input_checks import check_windows
from keras_convbert.models.base.input_checks import check_words
from keras_convbert.models.base.windowed_preprocessor import (
    WindowedPreprocessor,
)
from keras_convbert.models.convbert.convbert_preprocessor import (
    ConvBertPreprocessor,
)
from keras_convbert.models.convbert.convbert_tokenizer import ConvBertTokenizer
from keras_convbert.text.special_tokens import pad_segments
from keras_convbert.text.special_tokens import pad_segments_in_graph
from keras_convbert.text.windows import Windows
from keras_convbert.text.word_labels import NO_LABEL
from keras_convbert.text.word_labels import check_labels
from keras_convbert.text.word_labels import label_ids
from keras_convbert.text.word_labels import label_ids_in_graph
from keras_convbert.text.word_labels import word_weights
from keras_convbert.text.word_windows import NO_WORD
from keras_convbert.text.word_windows import WordSpans
from keras_convbert.text.word_windows import WordWindow
from keras_convbert.text.word_windows import WordWindows
from keras_convbert.text.word_windows import ragged
from keras_convbert.text.word_windows import windows_of_pieces
from keras_convbert.text.word_windows import word_windows
from keras_convbert.text.word_windows import word_windows_in_graph
from keras_convbert.text.word_windows import words_of_texts
from keras_convbert.types import Config
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertTokenClassifierPreprocessor(
    ConvBertPreprocessor, WindowedPreprocessor
):
    """Tokenizes and packs words and labels for `ConvBertTokenClassifier`.

    A word is split into pieces. The first piece carries the label of the word,
    and the other pieces have the weight 0. A sentence of more than
    `sequence_length - 2` pieces is cut into overlapping windows, and the
    outputs have one row per window. Each label counts in exactly one window.

    Args:
        tokenizer: a `ConvBertTokenizer`.
        labels: sequence of strings. The labels, in the order of their ids.
        sequence_length: int. Length of the packed sequences. Defaults to
            `512`.
        stride: int. Distance between the starts of consecutive windows, in
            pieces; `None` is half a window. Defaults to `None`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        x: sentences of words, a list of lists of strings or a ragged tensor.
        y: one label or label id per word, nested as `x`. `None` or -100
            leaves the word out of the loss and the metrics; a TensorFlow
            graph reads only -100, among ids.
        sample_weight: one weight per sentence, or one per word, nested as
            `x`.

    Output shape:
        Dict of `token_ids`, `segment_ids` and `padding_mask`, each of shape
        `(windows, sequence_length)`. With labels a tuple
        `(x, y, sample_weight)` of this dict, the label ids and their weights,
        which are nonzero where a label counts; both have the same shape.

    Raises:
        ValueError: if the numbers of labels, weights and words differ, a
            label is unknown, or the stride is larger than a window.

    Example:

    ```python
    from keras_convbert.models import ConvBertTokenClassifierPreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "new", "##s"]
    preprocessor = ConvBertTokenClassifierPreprocessor(
        ConvBertTokenizer(tokens), labels=["O", "B-LOC"], sequence_length=6
    )
    x, y, sample_weight = preprocessor(x=[["News", "new"]], y=[["O", "B-LOC"]])
    # x["token_ids"]: [[2, 5, 6, 5, 3, 0]]
    # y, sample_weight: [[0, 0, 0, 1, 0, 0]], [[0., 1., 0., 1., 0., 0.]]
    ```
    """

    takes_words = True

    def __init__(
        self,
        tokenizer: ConvBertTokenizer,
        labels: Sequence[str],
        sequence_length: int = 512,
        stride: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_packing(sequence_length)
        check_windows(tokenizer, sequence_length - 2, stride)
        super().__init__(tokenizer, sequence_length, stride, **kwargs)
        self.labels = check_labels(labels)

    def windows(self, x: Any) -> list[WordWindow]:
        """Returns the windows of sentences, with the words labeled in each.

        Args:
            x: as in a call.
        """
        return word_windows(self.tokenizer, check_words(x), *self._window())

    def to_windows(
        self, x: Any, y: Any = None, sample_weight: Any = None
    ) -> tuple[Any, Any, Any]:
        """Cuts samples into windows, which `collate` batches.

        Args:
            x: as in a call.
            y: as in a call. Defaults to `None`.
            sample_weight: as in a call. Defaults to `None`.

        Returns:
            Tuple `(x, y, sample_weight)` with one entry per window.
        """
        words = check_words(x)
        windows = self.windows(words)

        def of_pieces(of_words: list[np.ndarray], nothing: int) -> list[Any]:
            # The index `NO_WORD` (-1) selects the last entry.
            of_words = [np.append(values, nothing) for values in of_words]
            return [
                of_words[window.sentence][window.words] for window in windows
            ]

        ids = [window.ids for window in windows]
        if sample_weight is not None:
            sample_weight = of_pieces(word_weights(words, sample_weight), 0)
        if y is not None:
            y = of_pieces(label_ids(self.labels, words, y), NO_LABEL)
        return ids, y, sample_weight

    def collate(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Batches windows of `to_windows`.

        Args:
            x: windows.
            y: their label ids. Defaults to `None`.
            sample_weight: their weights. Defaults to `None`.

        Returns:
            The outputs of a call.
        """
        inputs = pad_segments(
            self.tokenizer, [[ids] for ids in x], self.sequence_length
        )
        shape = inputs["token_ids"].shape
        if sample_weight is not None:
            sample_weight = _at_positions(
                sample_weight, np.zeros(shape, "float32")
            )
        if y is None:
            return keras.utils.pack_x_y_sample_weight(
                inputs, None, sample_weight
            )
        labels = _at_positions(y, np.full(shape, NO_LABEL, "int32"))
        weights = (labels != NO_LABEL).astype("float32")
        if sample_weight is not None:
            weights *= sample_weight
        return inputs, np.maximum(labels, 0), weights

    @preprocessing_function
    def _call_tf(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        import tensorflow as tf

        x = ragged(x)
        windows = word_windows_in_graph(self.tokenizer, x, *self._window())
        inputs = self.collate_in_graph(windows)
        if sample_weight is not None:
            sample_weight = self._weights_in_graph(x, windows, sample_weight)
        if y is None:
            return keras.utils.pack_x_y_sample_weight(
                inputs, None, sample_weight
            )
        labels = label_ids_in_graph(self.labels, x, ragged(y))
        labels = self._of_words(windows, labels, NO_LABEL)
        weights = tf.cast(labels != NO_LABEL, "float32")
        if sample_weight is not None:
            weights *= sample_weight
        return inputs, tf.maximum(labels, 0), weights

    def _weights_in_graph(
        self, words: Tensor, windows: WordWindows, given: Tensor
    ) -> Tensor:
        """Returns the weights of positions, `(windows, sequence_length)`."""
        import tensorflow as tf

        given = tf.cast(given, "float32")
        if given.shape.rank == 1:
            given = tf.repeat(given, words.row_lengths())
        else:
            given = ragged(given)
            same = tf.debugging.assert_equal(
                words.row_splits,
                tf.cast(given.row_splits, "int64"),
                "Expected a weight for each word.",
            )
            with tf.control_dependencies([same]):
                given = tf.identity(given.flat_values)
        return self._of_words(windows, given, 0)

    def _of_words(
        self, windows: WordWindows, of_words: Tensor, nothing: int
    ) -> Tensor:
        """Returns values of words at the positions of their first pieces."""
        import tensorflow as tf

        # The last entry stands for `NO_WORD`.
        of_words = tf.concat(
            [of_words, tf.constant([nothing], of_words.dtype)], 0
        )
        words = windows.words.flat_values
        last = tf.size(of_words, out_type=words.dtype) - 1
        of_pieces = tf.gather(of_words, tf.where(words == NO_WORD, last, words))
        return self.at_positions(
            windows.words.with_flat_values(of_pieces), nothing
        )

    def words_of_texts_in_graph(
        self, texts: Tensor
    ) -> tuple[WordSpans, Windows]:
        """Returns the words and the windows of texts, in a TensorFlow graph.

        Args:
            texts: string tensor of shape `(batch,)`.
        """
        words = words_of_texts(self.tokenizer, texts)
        return words, windows_of_pieces(words.ids, *self._window())

    def collate_in_graph(self, windows: WordWindows) -> dict[str, Tensor]:
        """Batches windows in a TensorFlow graph.

        Args:
            windows: the `WordWindows`.
        """
        return pad_segments_in_graph(
            self.tokenizer, [windows.ids], self.sequence_length
        )

    def at_positions(self, of_pieces: Tensor, nothing: int = NO_WORD) -> Tensor:
        """Aligns values of pieces with positions, in a TensorFlow graph.

        Args:
            of_pieces: ragged tensor of shape `(windows, None)`.
            nothing: int. Value of positions without a piece. Defaults to
                `-1`.

        Returns:
            Tensor of shape `(windows, sequence_length)`.
        """
        import tensorflow as tf

        first = tf.fill(
            [of_pieces.nrows(), 1], tf.constant(nothing, of_pieces.dtype)
        )
        return self._padded(tf.concat([first, of_pieces], 1), nothing)

    def _window(self) -> tuple[int, int]:
        """Returns the size and the stride of windows, in pieces."""
        size = self.sequence_length - 2
        return size, self.stride or -(-size // 2)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "labels": self.labels,
        }


def _at_positions(of_pieces: Any, outputs: np.ndarray) -> np.ndarray:
    """Copies values of pieces to the positions of `outputs`, and returns it."""
    for output, values in zip(outputs, of_pieces, strict=True):
        # Pieces follow `[CLS]`.
        output[1 : len(values) + 1] = values
    return outputs
