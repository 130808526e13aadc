import dataclasses
import os
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any
from typing import Self

import keras_hub
import numpy as np

from keras_convbert.compat import canonicalize_python_string_inputs
from keras_convbert.compat import missing_tensorflow
from keras_convbert.compat import preprocessing_function
from keras_convbert.compat import restore_outer_shape
from keras_convbert.files import write_text
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.models.base.tokenizer import Tokenizer
from keras_convbert.models.presets.saving import has_asset_files
from keras_convbert.text import bert_pretokenizer
from keras_convbert.text.added_tokens import AddedToken
from keras_convbert.text.added_tokens import AddedTokenMatcher
from keras_convbert.text.added_tokens import make_added_tokens
from keras_convbert.text.bert_pretokenizer import MAX_CHARACTERS_PER_WORD
from keras_convbert.text.bert_pretokenizer import PretokenizedWords
from keras_convbert.text.bert_pretokenizer import look_up
from keras_convbert.text.bert_pretokenizer import piece_spans
from keras_convbert.text.bert_pretokenizer import read_characters
from keras_convbert.text.bert_pretokenizer import words_in_graph
from keras_convbert.text.vocabulary import check_vocabulary
from keras_convbert.text.vocabulary import read_vocabulary
from keras_convbert.types import Config
from keras_convbert.types import DType
from keras_convbert.types import Tensor

VOCABULARY_FILE = "vocabulary.txt"
MAX_INT = 2**31 - 1


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
        added_tokens: Iterable[Any] = (),
        max_input_chars_per_word: int = MAX_CHARACTERS_PER_WORD,
        **kwargs: Any,
    ) -> None:
        self.unk_token = "[UNK]"
        for name in ("cls", "sep", "pad", "mask"):
            self._add_special_token(f"[{name.upper()}]", f"{name}_token")
        # The preprocessors of KerasHub use these names.
        self._add_special_token("[CLS]", "start_token")
        self._add_special_token("[SEP]", "end_token")
        self.added_tokens = make_added_tokens(added_tokens, self._reserved)
        check_positive_integers(
            max_input_chars_per_word=max_input_chars_per_word
        )
        self.max_input_chars_per_word = max_input_chars_per_word
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
        write_text(
            os.path.join(dir_path, VOCABULARY_FILE),
            "".join(f"{token}\n" for token in self.model_vocabulary),
        )

    @property
    def model_vocabulary(self) -> list[str]:
        """The vocabulary without the added tokens that follow it."""
        self._check_vocabulary()
        return self.vocabulary[: self._model_size]

    def add_tokens(self, tokens: Iterable[Any]) -> int:
        """Adds tokens that are matched in a text before it is split.

        A token that the vocabulary lacks gets the next id. The embeddings of
        a model need a row for it: see
        `ConvBertBackbone.resize_token_embeddings`. Graphs that were traced
        before, such as a `tf.data.Dataset`, keep the old tokens.

        Args:
            tokens: list of strings, or of dicts with a `"content"` and any of
                the flags `"lstrip"`, `"rstrip"`, `"normalized"`,
                `"single_word"` and `"special"` of `tokenizers.AddedToken`. A
                string matches text that is equal to it after cleaning, so
                that case does not matter if the tokenizer lowercases. A
                `tokenizers.AddedToken` is accepted too. Tokens that were added
                before, or are repeated, are skipped.

        Returns:
            The number of new ids.

        Raises:
            ValueError: if a token is empty, starts or ends with a space, is a
                special token, or if no vocabulary is set.

        Example:

        ```python
        from keras_convbert.models import ConvBertTokenizer

        tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        tokenizer = ConvBertTokenizer([*tokens, "meet", "at"])
        tokenizer.add_tokens(["<loc>"])  # 1
        tokenizer(["Meet at <loc>"])  # [[5, 6, 7]]
        ```
        """
        old, size = self.model_vocabulary, self.vocabulary_size()
        known = {token.content for token in self.added_tokens}
        if isinstance(tokens, (list, tuple)):
            tokens = {repr(token): token for token in tokens}.values()
        new = make_added_tokens(tokens, self._reserved)
        before = self.added_tokens
        self.added_tokens = (
            *before,
            *(token for token in new if token.content not in known),
        )
        try:
            self._use(old)
        except ValueError:
            self.added_tokens = before
            raise
        return self.vocabulary_size() - size

    @property
    def _reserved(self) -> list[str]:
        return sorted([self.unk_token, *self.special_tokens])

    def _use(self, vocabulary: Iterable[str] | None) -> None:
        if vocabulary is None:
            super().set_vocabulary(None)
            self._rust: Any = None
            return
        tokens = check_vocabulary(vocabulary, self._reserved)
        self._check_forms()
        model = set(tokens)
        added = [t.content for t in self.added_tokens if t.content not in model]
        self._model_size = len(tokens)
        # The base class decodes by all tokens.
        super().set_vocabulary([*tokens, *added])
        self._rust = self.rust_tokenizer(self.special_tokens_in_strings)

    def rust_tokenizer(self, special_tokens_in_strings: bool) -> Any:
        """Returns the `tokenizers.Tokenizer` with the same ids."""
        special = self._special_tokens() if special_tokens_in_strings else []
        return bert_pretokenizer.wordpiece_tokenizer(
            self.model_vocabulary,
            self.unk_token,
            self.lowercase,
            self.strip_accents,
            [*special, *self.added_tokens],
            self.max_input_chars_per_word,
        )

    def _special_tokens(self) -> list[AddedToken]:
        return [
            AddedToken(token, normalized=False, special=True)
            for token in self._reserved
        ]

    def _forms(self, tokens: Iterable[AddedToken]) -> list[str]:
        """Returns what added tokens look like in a text."""
        normalizer = bert_pretokenizer.bert_normalizer(
            self.lowercase, self.strip_accents
        )
        return [
            normalizer.normalize_str(token.content)
            if token.normalized
            else token.content
            for token in tokens
        ]

    def _check_forms(self) -> None:
        seen: dict[tuple[bool, str], str] = {}
        for token, form in zip(
            self.added_tokens, self._forms(self.added_tokens), strict=True
        ):
            key = (token.normalized, form.strip())
            if not form.strip() or key in seen:
                raise ValueError(
                    "Expected added tokens that differ after the cleaning of "
                    "BERT and are not empty. Received: "
                    f"{token.content!r}, which becomes {form!r}"
                    + (f" as {seen[key]!r} does" if key in seen else "")
                )
            seen[key] = token.content

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
        if self.compute_dtype != "string":
            return encoding.ids
        # The library gives the text of an added token, not its content.
        return [self.vocabulary[i] for i in encoding.ids]

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
        # The base class detokenizes with this one.
        self._fast_word_piece = self._word_pieces_in_graph(self.vocabulary)
        # Words are not split into added tokens.
        self._model_word_piece = self._fast_word_piece
        if self._model_size < len(self.vocabulary):
            self._model_word_piece = self._word_pieces_in_graph(
                self.model_vocabulary
            )
        special = (
            self._special_tokens() if self.special_tokens_in_strings else []
        )
        # Raw text is searched first, then the cleaned rest of it.
        self._graph_tokens = sorted(
            [*special, *self.added_tokens], key=lambda token: token.normalized
        )
        self._matchers = []
        first = 0
        for normalized in (False, True):
            tokens = [
                token
                for token in self._graph_tokens
                if token.normalized == normalized
            ]
            self._matchers.append(
                AddedTokenMatcher(tokens, self._forms(tokens), first)
                if tokens
                else None
            )
            first += len(tokens)

    def _word_pieces_in_graph(self, vocabulary: list[str]) -> Any:
        try:
            import tensorflow_text
        except ImportError as error:
            raise missing_tensorflow(
                "Tokenizing in a TensorFlow graph, such as `tf.data`,",
                "tensorflow-text",
            ) from error
        # Longer words were replaced by `[UNK]` before.
        return tensorflow_text.FastWordpieceTokenizer(
            vocab=vocabulary,
            token_out_type=self.compute_dtype,
            suffix_indicator=self.suffix_indicator,
            unknown_token=self.unk_token,
            max_bytes_per_word=min(4 * self.max_input_chars_per_word, MAX_INT),
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

        words = self._words_in_graph(texts)
        flat = words.strings.flat_values
        is_added = words.added >= 0
        lengths = tf.strings.length(flat, unit="UTF8_CHAR")
        whole = is_added | (lengths > self.max_input_chars_per_word)
        # An unknown token is one piece. Added tokens get their ids below.
        flat = tf.where(whole, self.unk_token, flat)
        to_split = words.strings.with_flat_values(flat)
        if not offsets:
            pieces = self._model_word_piece.tokenize(to_split)
            return (self._with_added(pieces, words.added),)
        pieces, starts, ends = self._model_word_piece.tokenize_with_offsets(
            to_split
        )
        tokens = self._with_added(pieces, words.added)
        spans = piece_spans(words, pieces, starts, ends, whole)
        return (tokens, *(tokens.with_flat_values(span) for span in spans))

    def _words_in_graph(self, texts: Tensor) -> PretokenizedWords:
        marks = bool(self._graph_tokens)
        characters = read_characters(texts, marks)
        options = (self.lowercase, self.strip_accents, marks)
        raw, normalized = self._matchers
        if raw is not None:
            characters = raw(characters)
        if normalized is not None:
            table = bert_pretokenizer.character_table(*options, split=False)
            characters = normalized(look_up(characters, table))
        # Cleaning twice is the same as cleaning once.
        table = bert_pretokenizer.character_table(*options)
        return words_in_graph(characters, table)

    def _with_added(self, pieces: Any, added: Tensor) -> Any:
        """Returns the tokens of texts; `pieces` has those of each word."""
        import tensorflow as tf

        tokens = pieces.merge_dims(-2, -1)
        if not self._graph_tokens:
            return tokens
        known: list[Any] = [token.content for token in self._graph_tokens]
        if self.compute_dtype != "string":
            known = [self.token_to_id(token) for token in known]
        known = tf.constant(known, tokens.dtype)
        added = tf.gather(added, pieces.values.value_rowids())
        return tokens.with_flat_values(
            tf.where(
                added >= 0,
                tf.gather(known, tf.maximum(added, 0)),
                tokens.flat_values,
            )
        )

    def get_config(self) -> Config:
        config = super().get_config()
        # Files have the vocabulary as an asset; a clone needs it here.
        if self.vocabulary is not None and not has_asset_files():
            config["vocabulary"] = self.model_vocabulary
        config["added_tokens"] = [
            dataclasses.asdict(token) for token in self.added_tokens
        ]
        config["max_input_chars_per_word"] = self.max_input_chars_per_word
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
