"""A BERT tokenizer for long texts, fast because it caches words.

BERT cleans each character independently of its neighbors, so a table of
characters suffices, and the pieces of a word depend on the word alone. Table
and pieces come from the Rust library `tokenizers`.
"""

import numpy as np
import tokenizers

MOST_WORDS = 1 << 18
LONGEST_WORD = 100


class WordSplitter:
    """Splits a text into cleaned words, as a BERT tokenizer does.

    Args:
        normalizer: the normalizer of a BERT tokenizer.
        pre_tokenizer: its pre-tokenizer.
    """

    def __init__(
        self,
        normalizer: tokenizers.normalizers.Normalizer,
        pre_tokenizer: tokenizers.pre_tokenizers.PreTokenizer,
    ) -> None:
        self._characters = _Characters(normalizer, pre_tokenizer)

    def __call__(self, text: str) -> list[str]:
        return text.translate(self._characters).split()


class WordPieces:
    """Turns a text into ids, without adding special tokens.

    Special tokens that occur in the text are read as ordinary text, unless
    they are added tokens of the tokenizer.

    Args:
        state: string. A BERT `tokenizers.Tokenizer` in JSON.
        dtype: string. Dtype of the ids.
    """

    def __init__(self, state: str, dtype: str) -> None:
        tokenizer = tokenizers.Tokenizer.from_str(state)
        self._split = WordSplitter(
            tokenizer.normalizer, tokenizer.pre_tokenizer
        )
        self._ids = _WordIds(tokenizer.model, dtype)
        self._dtype = dtype
        # The library finds added tokens. They depend on more than a word.
        self._whole = (
            tokenizer if tokenizer.get_added_tokens_decoder() else None
        )

    def __call__(self, text: str) -> np.ndarray:
        if self._whole is not None:
            encoding = self._whole.encode(text, add_special_tokens=False)
            return np.array(encoding.ids, self._dtype)
        ids = map(self._ids.__getitem__, self._split(text))
        return np.frombuffer(b"".join(ids), self._dtype)


class _Characters(dict[int, str]):
    """Maps characters to cleaned text, where spaces separate words."""

    def __init__(
        self,
        normalizer: tokenizers.normalizers.Normalizer,
        pre_tokenizer: tokenizers.pre_tokenizers.PreTokenizer,
    ) -> None:
        self._normalizer = normalizer
        self._pre_tokenizer = pre_tokenizer

    def __missing__(self, codepoint: int) -> str:
        clean = self._normalizer.normalize_str(chr(codepoint))
        self[codepoint] = "".join(map(self._set_apart, clean))
        return self[codepoint]

    def _set_apart(self, character: str) -> str:
        pieces = self._pre_tokenizer.pre_tokenize_str(f"a{character}a")
        if len(pieces) == 1:
            return character
        return " " if len(pieces) == 2 else f" {character} "


class _WordIds(dict[str, bytes]):
    """Caches the ids of words, and is cleared when it has too many.

    The ids are kept as the bytes of an array, which are fast to join.
    """

    def __init__(self, model: tokenizers.models.Model, dtype: str) -> None:
        self._model = model
        self._dtype = dtype

    def __missing__(self, word: str) -> bytes:
        tokens = self._model.tokenize(word)
        ids = np.array([token.id for token in tokens], self._dtype).tobytes()
        if len(word) <= LONGEST_WORD:
            if len(self) >= MOST_WORDS:
                self.clear()
            self[word] = ids
        return ids
