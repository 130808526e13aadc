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
from keras_convbert.models.base.windowed_preprocessor import window_weights
from keras_convbert.models.convbert.convbert_preprocessor import (
    ConvBertPreprocessor,
)
from keras_convbert.models.convbert.convbert_tokenizer import ConvBertTokenizer
from keras_convbert.text.special_tokens import pad_segments
from keras_convbert.text.special_tokens import pad_segments_in_graph
from keras_convbert.text.word_labels import check_labels
from keras_convbert.text.word_labels import label_ids
from keras_convbert.text.word_labels import label_ids_in_graph
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
    """Turns sentences, as words, and a label a word into inputs of a tagger.

    A word is cut into pieces; its label is that of the first, and the others
    do not count. A sentence of more than `sequence_length - 2` pieces is cut
    into overlapping windows, in one of which each word counts: there are as
    many rows as windows.

    Args:
        tokenizer: a `ConvBertTokenizer`.
        labels: sequence of strings. The labels, in the order of their ids.
        sequence_length: int. Length of the outputs. Defaults to `512`.
        stride: int. Pieces from the start of one window to that of the next;
            `None` is half a window. Defaults to `None`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        x: sentences: a list of lists of strings, or a ragged tensor.
        y: a label, or its id, a word: of the form of `x`.
        sample_weight: one weight a sentence.

    Output shape:
        dict of `token_ids`, `segment_ids`, `padding_mask`, each
        `(rows, sequence_length)`; with labels a tuple of it, of their ids and
        of weights, 1 where a label counts and 0 elsewhere, both of this shape.

    Raises:
        ValueError: if labels and words differ in number, a label is unknown,
            or the windows do not overlap.

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

    def rows(self, x: Any) -> list[WordWindow]:
        """The windows of sentences, and which words have their label there."""
        return word_windows(self.tokenizer, check_words(x), *self._window())

    def to_windows(
        self, x: Any, y: Any = None, sample_weight: Any = None
    ) -> tuple[Any, Any, Any]:
        """Cuts samples into rows, which `collate` makes batches of.

        Args:
            x: as of the call.
            y: as of the call. Defaults to `None`.
            sample_weight: as of the call. Defaults to `None`.

        Returns:
            `(x, y, sample_weight)`, an entry a row.
        """
        words = check_words(x)
        rows = self.rows(words)
        ids = [row.ids for row in rows]
        sample_weight = window_weights(
            sample_weight, [row.sentence for row in rows]
        )
        if y is None:
            return ids, None, sample_weight
        labels = label_ids(self.labels, words, y)
        # The entry that `NO_WORD` takes, at the end.
        labels = [np.append(of_words, NO_WORD) for of_words in labels]
        y = [labels[row.sentence][row.words] for row in rows]
        return ids, y, sample_weight

    def collate(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Batches windows of `to_windows`.

        Args:
            x: some of the windows.
            y: their labels. Defaults to `None`.
            sample_weight: their weights. Defaults to `None`.

        Returns:
            As the call.
        """
        inputs = pad_segments(
            self.tokenizer, [[ids] for ids in x], self.sequence_length
        )
        if y is None:
            return keras.utils.pack_x_y_sample_weight(
                inputs, None, sample_weight
            )
        labels = np.full(inputs["token_ids"].shape, NO_WORD, "int32")
        for of_window, ids, given in zip(labels, x, y, strict=True):
            # After `[CLS]`.
            of_window[1 : len(ids) + 1] = given
        counts = (labels != NO_WORD).astype("float32")
        if sample_weight is not None:
            counts *= np.reshape(sample_weight, (-1, 1))
        return inputs, np.maximum(labels, 0), counts

    @preprocessing_function
    def _call_tf(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        import tensorflow as tf

        x = ragged(x)
        rows = word_windows_in_graph(self.tokenizer, x, *self._window())
        inputs = self.collate_in_graph(rows)
        if sample_weight is not None:
            sample_weight = tf.gather(sample_weight, rows.sentences)
        if y is None:
            return keras.utils.pack_x_y_sample_weight(
                inputs, None, sample_weight
            )
        labels = label_ids_in_graph(self.labels, x, ragged(y))
        words = rows.words.flat_values
        of_pieces = tf.where(
            words == NO_WORD,
            tf.constant(NO_WORD, "int32"),
            tf.gather(labels, tf.maximum(words, 0)),
        )
        labels = self.at_positions(rows.words.with_flat_values(of_pieces))
        counts = tf.cast(labels != NO_WORD, "float32")
        if sample_weight is not None:
            counts *= tf.cast(sample_weight, "float32")[:, None]
        return inputs, tf.maximum(labels, 0), counts

    def rows_of_texts_in_graph(
        self, texts: Tensor
    ) -> tuple[WordWindows, WordSpans]:
        """The windows of texts, and the words in them.

        Args:
            texts: string tensor, `(batch,)`.
        """
        words = words_of_texts(self.tokenizer, texts)
        return windows_of_pieces(
            words.ids, words.numbers, *self._window()
        ), words

    def collate_in_graph(self, windows: WordWindows) -> dict[str, Tensor]:
        """Batches windows in a TensorFlow graph.

        Args:
            windows: the `WordWindows`.
        """
        return pad_segments_in_graph(
            self.tokenizer, [windows.ids], self.sequence_length
        )

    def at_positions(self, of_pieces: Tensor) -> Tensor:
        """What belongs to the pieces of rows, at their places.

        Args:
            of_pieces: ragged integers, `(rows, None)`.

        Returns:
            integers, `(rows, sequence_length)`; -1 where there is no piece.
        """
        import tensorflow as tf

        nothing = tf.fill(
            [of_pieces.nrows(), 1], tf.constant(NO_WORD, of_pieces.dtype)
        )
        return self._padded(tf.concat([nothing, of_pieces], 1), NO_WORD)

    def _window(self) -> tuple[int, int]:
        """Pieces in a window, and from the start of one to the next's."""
        size = self.sequence_length - 2
        return size, self.stride or -(-size // 2)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "labels": self.labels,
        }
