import collections
import dataclasses
import functools

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

    Call arguments:
        chunk: a `Chunk`.
    """

    tokenizer: str

    def __call__(self, chunk: Chunk) -> dict[str, int]:
        text = b"\n".join(chunk.parts).decode("utf-8", errors="replace")
        counts = collections.Counter(self._split(text))
        return {w: n for w, n in counts.items() if len(w) <= LONGEST_WORD}

    @functools.cached_property
    def _split(self) -> WordSplitter:
        tokenizer = tokenizers.Tokenizer.from_str(self.tokenizer)
        return WordSplitter(tokenizer.normalizer, tokenizer.pre_tokenizer)
