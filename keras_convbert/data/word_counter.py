import collections
import dataclasses
import functools
import re
from typing import NamedTuple

import tokenizers

from keras_convbert.data.documents import Chunk
from keras_convbert.data.text_files import count_bad_lines
from keras_convbert.data.word_splitter import LONGEST_WORD
from keras_convbert.data.word_splitter import WordSplitter


class WordCounts(NamedTuple):
    """Counts of words, of lines, and of lines with invalid UTF-8."""

    words: dict[str, int]
    lines: int
    bad_lines: int


@dataclasses.dataclass(frozen=True)
class WordCounter:
    """Counts the words of documents.

    Words that are too long, and so unknown to the tokenizer, are left out.

    Args:
        tokenizer: string. A BERT `tokenizers.Tokenizer` in JSON.
        extra_tokens: tuple of strings. Tokens to leave out of the texts,
            where they are written like this. Defaults to `()`.

    Call arguments:
        chunk: a `Chunk`.
    """

    tokenizer: str
    extra_tokens: tuple[str, ...] = ()

    def __call__(self, chunk: Chunk) -> WordCounts:
        content = b"\n".join(chunk.parts)
        text = content.decode("utf-8", errors="replace")
        if self.extra_tokens:
            longest_first = sorted(self.extra_tokens, key=len, reverse=True)
            pattern = "|".join(map(re.escape, longest_first))
            text = re.sub(pattern, " ", text)
        counts = collections.Counter(self._split(text))
        return WordCounts(
            {w: n for w, n in counts.items() if len(w) <= LONGEST_WORD},
            content.count(b"\n") + 1,
            count_bad_lines(content),
        )

    @functools.cached_property
    def _split(self) -> WordSplitter:
        tokenizer = tokenizers.Tokenizer.from_str(self.tokenizer)
        return WordSplitter(tokenizer.normalizer, tokenizer.pre_tokenizer)
