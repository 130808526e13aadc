"""Splits a text into words as BERT does, fast by a table of characters.

BERT cleans each character independently of its neighbors, so a table of
characters suffices. It comes from the Rust library `tokenizers`.
"""

import tokenizers

# The tokenizer does not know longer words.
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
