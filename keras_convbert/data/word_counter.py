import collections
import dataclasses
import functools
import re

import tokenizers

from keras_convbert.data.documents import Chunk
from keras_convbert.data.word_pieces import LONGEST_WORD
from keras_convbert.data.word_pieces import WordSplitter


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

    def __call__(self, chunk: Chunk) -> dict[str, int]:
        text = b"\n".join(chunk.parts).decode("utf-8", errors="replace")
        if self.extra_tokens:
            longest_first = sorted(self.extra_tokens, key=len, reverse=True)
            pattern = "|".join(map(re.escape, longest_first))
            text = re.sub(pattern, " ", text)
        counts = collections.Counter(self._split(text))
        return {w: n for w, n in counts.items() if len(w) <= LONGEST_WORD}

    @functools.cached_property
    def _split(self) -> WordSplitter:
        tokenizer = tokenizers.Tokenizer.from_str(self.tokenizer)
        return WordSplitter(tokenizer.normalizer, tokenizer.pre_tokenizer)
