import os
import re
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import Self

import keras_hub
import numpy as np

from keras_convbert.compat import canonicalize_python_string_inputs
from keras_convbert.compat import preprocessing_function
from keras_convbert.compat import restore_outer_shape
from keras_convbert.files import write_text
from keras_convbert.models.base.tokenizer import Tokenizer
from keras_convbert.text import bert_pretokenizer
from keras_convbert.text.bert_pretokenizer import piece_spans
from keras_convbert.text.bert_pretokenizer import words_in_graph
from keras_convbert.text.vocabulary import check_vocabulary
from keras_convbert.text.vocabulary import read_vocabulary
from keras_convbert.types import Config
from keras_convbert.types import DType
from keras_convbert.types import Tensor

VOCABULARY_FILE = "vocabulary.txt"
# Characters that replace special tokens while a TensorFlow graph cleans a text.
# They are safe: BERT deletes private-use characters from texts.
FIRST_MARK = 0xF0000


class WordPieceTokenizer(Tokenizer, keras_hub.tokenizers.WordPieceTokenizer):
    """BERT tokenizer: text to word pieces to ids, and back.

    It runs in Rust and, inside `tf.data` and SavedModels, as TensorFlow
    operations, with the same ids. A subclass sets `backbone_cls`.
    """

    def __init__(
        self,
        vocabulary: Iterable[str] | str | None = None,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        special_tokens_in_strings: bool = False,
        sequence_length: int | None = None,
        dtype: DType = "int32",
        **kwargs: Any,
    ) -> None:
        self.unk_token = "[UNK]"
        for name in ("cls", "sep", "pad", "mask"):
            self._add_special_token(f"[{name.upper()}]", f"{name}_token")
        # The preprocessors of KerasHub use these names.
        self._add_special_token("[CLS]", "start_token")
        self._add_special_token("[SEP]", "end_token")
        super().__init__(
            vocabulary=vocabulary,
            lowercase=lowercase,
            strip_accents=lowercase if strip_accents is None else strip_accents,
            special_tokens_in_strings=special_tokens_in_strings,
            sequence_length=sequence_length,
            dtype=dtype,
            **kwargs,
        )
        # `Model.quantize` raises an error for layers that are not built.
        self.built = True

    def set_vocabulary(self, vocabulary: Iterable[str] | str | None) -> None:
        """Sets the vocabulary.

        Args:
            vocabulary: list of strings, the path of a file, or `None`.
        """
        if isinstance(vocabulary, os.PathLike):
            vocabulary = os.fspath(vocabulary)
        if isinstance(vocabulary, str):
            vocabulary = read_vocabulary(vocabulary)
        self._use(vocabulary)

    def load_assets(self, dir_path: str) -> None:
        self._use(read_vocabulary(os.path.join(dir_path, VOCABULARY_FILE)))

    def save_assets(self, dir_path: str) -> None:
        self._check_vocabulary()
        write_text(
            os.path.join(dir_path, VOCABULARY_FILE),
            "".join(f"{token}\n" for token in self.vocabulary),
        )

    def _use(self, vocabulary: Iterable[str] | None) -> None:
        if vocabulary is not None:
            vocabulary = check_vocabulary(
                vocabulary, sorted([self.unk_token, *self.special_tokens])
            )
        super().set_vocabulary(vocabulary)
        self._rust: Any = None
        if vocabulary is not None:
            self._rust = bert_pretokenizer.wordpiece_tokenizer(
                vocabulary,
                self.unk_token,
                self.lowercase,
                self.strip_accents,
                self._marked_tokens(),
            )

    def _marked_tokens(self) -> list[str]:
        if not self.special_tokens_in_strings:
            return []
        return sorted([self.unk_token, *self.special_tokens])

    @classmethod
    def from_config(cls, config: Config) -> Self:
        # The vocabulary is saved as an asset. A path in an untrusted config
        # could name any file on the machine.
        if isinstance(config.get("vocabulary"), str):
            raise ValueError(
                "Expected a config without the path of a vocabulary file. "
                f"Received: vocabulary={config['vocabulary']!r}"
            )
        return super().from_config(config)

    def tokenize_with_offsets(self, inputs: Any) -> tuple[Any, Any, Any]:
        """Returns the tokens of texts and their character spans.

        A span counts code points, as Python does: the token stands for
        `text[start:end]`. Padding, which `sequence_length` adds, has the span
        0 to 0.

        Args:
            inputs: a string, a list of strings, or a string tensor.

        Returns:
            Tuple `(token_ids, starts, ends)`, each with the structure of the
            ids that a call returns.

        Example:

        ```python
        from keras_convbert.models import ConvBertTokenizer

        tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        tokenizer = ConvBertTokenizer([*tokens, "cafe", "open", "##s"])
        tokenizer.tokenize_with_offsets(["Café opens"])
        # [[5, 6, 7]], [[0, 5, 9]], [[4, 9, 10]]
        ```
        """
        self._check_vocabulary()
        if self._use_tf_workflow():
            return self._tokenize_with_offsets_tf(inputs)
        encodings, form = self._encode(inputs)
        return (
            form([self._pieces(encoding) for encoding in encodings]),
            form(
                [[s for s, _ in e.offsets] for e in encodings], positions=True
            ),
            form(
                [[s for _, s in e.offsets] for e in encodings], positions=True
            ),
        )

    def _tokenize_python(self, inputs: Any) -> Any:
        encodings, form = self._encode(inputs)
        return form([self._pieces(encoding) for encoding in encodings])

    def _pieces(self, encoding: Any) -> list[Any]:
        strings = self.compute_dtype == "string"
        return encoding.tokens if strings else encoding.ids

    def _encode(self, inputs: Any) -> tuple[list[Any], Callable[..., Any]]:
        """Returns encodings, and a function that restores the outer shape."""
        texts, batched, outer_shape = canonicalize_python_string_inputs(
            inputs, errors="replace"
        )
        for text in texts:
            _refuse_surrogates(text)

        def form(rows: Any, positions: bool = False) -> Any:
            strings = self.compute_dtype == "string" and not positions
            dtype = "int32" if positions else self.compute_dtype
            if self.sequence_length:
                rows = self._dense(rows, None if strings else dtype, positions)
            if outer_shape is not None:
                return restore_outer_shape(rows, outer_shape)
            if batched:
                return rows
            return rows[0] if strings else np.array(rows[0], dtype)

        return self._rust.encode_batch(texts, add_special_tokens=False), form

    def _dense(
        self, rows: list[list[Any]], dtype: str | None, positions: bool
    ) -> Any:
        """Cuts and pads rows to `sequence_length`."""
        length = self.sequence_length
        if dtype is None:
            return [(row + [""] * length)[:length] for row in rows]
        padding = 0 if positions else self.pad_token_id
        outputs = np.full((len(rows), length), padding, dtype)
        for output, row in zip(outputs, rows, strict=True):
            output[: len(row)] = row[:length]
        return outputs

    def _set_vocabulary_tf(self) -> None:
        import tensorflow_text

        # Longer words were replaced by `[UNK]` before.
        self._fast_word_piece = tensorflow_text.FastWordpieceTokenizer(
            vocab=self.vocabulary,
            token_out_type=self.compute_dtype,
            suffix_indicator=self.suffix_indicator,
            unknown_token=self.unk_token,
            max_bytes_per_word=4 * bert_pretokenizer.MAX_CHARACTERS_PER_WORD,
            no_pretokenization=True,
            support_detokenization=True,
        )

    @preprocessing_function
    def _tokenize_tf(self, inputs: Any) -> Tensor:
        return self._in_graph(inputs, offsets=False)[0]

    @preprocessing_function
    def _tokenize_with_offsets_tf(
        self, inputs: Any
    ) -> tuple[Tensor, Tensor, Tensor]:
        return self._in_graph(inputs, offsets=True)

    def _in_graph(self, inputs: Any, offsets: bool) -> tuple[Tensor, ...]:
        """Returns tokens, optionally with starts and ends, as `inputs`."""
        import tensorflow as tf

        self._maybe_initialized_tf()
        if not isinstance(inputs, tf.RaggedTensor):
            inputs = tf.convert_to_tensor(inputs)
        if inputs.dtype != tf.string or inputs.shape.rank is None:
            raise ValueError(
                "Expected strings in a tensor of known rank. "
                f"Received: inputs={inputs}"
            )
        if isinstance(inputs, tf.RaggedTensor):
            rows = self._in_graph(inputs.flat_values, offsets)
            return tuple(inputs.with_flat_values(part) for part in rows)
        rows = self._tokens_in_graph(tf.reshape(inputs, (-1,)), offsets)
        strings = self.compute_dtype == "string"
        paddings = ("" if strings else self.pad_token_id, 0, 0)
        return tuple(
            self._as_inputs(part, inputs, padding)
            for part, padding in zip(rows, paddings, strict=False)
        )

    def _as_inputs(self, tokens: Tensor, inputs: Tensor, padding: Any) -> Any:
        """Reshapes tokens, one row per text, to the outer shape of `inputs`."""
        import tensorflow as tf

        if self.sequence_length:
            tokens = tokens.to_tensor(
                default_value=padding, shape=(None, self.sequence_length)
            )
        if inputs.shape.rank == 0:
            return tokens[0]
        shape = tf.shape(inputs, out_type="int64")
        if self.sequence_length:
            return tf.reshape(
                tokens, tf.concat([shape, [self.sequence_length]], 0)
            )
        for axis in reversed(range(1, inputs.shape.rank)):
            tokens = tf.RaggedTensor.from_uniform_row_length(
                tokens, shape[axis], nrows=tf.reduce_prod(shape[:axis])
            )
        return tokens

    def _tokens_in_graph(
        self, texts: Tensor, offsets: bool
    ) -> tuple[Tensor, ...]:
        """Returns ragged tokens of texts, optionally with offsets."""
        import tensorflow as tf

        marks = {
            token: chr(FIRST_MARK + i)
            for i, token in enumerate(self._marked_tokens())
        }
        for token, mark in marks.items():
            # A private-use character of the text itself becomes U+FFFD.
            # Deleting it here would join the characters around it.
            texts = tf.strings.regex_replace(texts, mark, "\ufffd")
            texts = tf.strings.regex_replace(texts, re.escape(token), mark)
        table = bert_pretokenizer.character_table(
            self.lowercase, self.strip_accents, tuple(marks.values())
        )
        widths = {mark: len(token) for token, mark in marks.items()}
        words = words_in_graph(texts, table, widths)
        flat = words.strings.flat_values
        whole = tf.zeros_like(flat, dtype=bool)
        for token, mark in marks.items():
            whole |= flat == mark
            flat = tf.where(flat == mark, token, flat)
        lengths = tf.strings.length(flat, unit="UTF8_CHAR")
        too_long = lengths > bert_pretokenizer.MAX_CHARACTERS_PER_WORD
        flat = tf.where(too_long, self.unk_token, flat)
        to_split = words.strings.with_flat_values(flat)
        if not offsets:
            pieces = self._fast_word_piece.tokenize(to_split)
            return (pieces.merge_dims(-2, -1),)
        pieces, starts, ends = self._fast_word_piece.tokenize_with_offsets(
            to_split
        )
        tokens = pieces.merge_dims(-2, -1)
        spans = piece_spans(words, pieces, starts, ends, whole | too_long)
        return (tokens, *(tokens.with_flat_values(span) for span in spans))

    def get_config(self) -> Config:
        config = super().get_config()
        # Arguments of the base class that this class fixes.
        for name in ("split", "suffix_indicator", "oov_token"):
            config.pop(name)
        config.pop("special_tokens")
        return config


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        near = text[max(0, error.start - 20) : error.end + 20]
        raise ValueError(
            "Expected text that UTF-8 can encode, without lone surrogates. "
            f"Received: text={near!r}"
        ) from error
