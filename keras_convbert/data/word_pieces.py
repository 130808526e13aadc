"""BERT's tokenizer for long texts: quick, as it remembers words.

What BERT's cleaning makes of a text it makes of each character by itself, so
that a table of characters can do it, and its word pieces depend on the word
alone. The table and the pieces come from the Rust library `tokenizers`.
"""

import numpy as np
import tokenizers

MOST_WORDS = 1 << 18
LONGEST_WORD = 100


class WordSplitter:
    """Splits a text into the words of a tokenizer, cleaned.

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
    """Turns a text into the ids of a tokenizer, without special tokens.

    Special tokens that are written in the text are ordinary text.

    Args:
        state: string. A BERT `tokenizers.Tokenizer` in JSON.
        dtype: string. Type of the ids.
    """

    def __init__(self, state: str, dtype: str) -> None:
        tokenizer = tokenizers.Tokenizer.from_str(state)
        self._split = WordSplitter(
            tokenizer.normalizer, tokenizer.pre_tokenizer
        )
        self._ids = _WordIds(tokenizer.model, dtype)
        self._dtype = dtype

    def __call__(self, text: str) -> np.ndarray:
        ids = map(self._ids.__getitem__, self._split(text))
        return np.frombuffer(b"".join(ids), self._dtype)


class _Characters(dict[int, str]):
    """What becomes of a character; a space stands for the end of a word."""

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
    """The ids of words, forgotten when there are too many.

    They are kept as the bytes of an array: those are joined in no time.
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
