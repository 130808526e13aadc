"""A BERT tokenizer for long texts, fast because it caches words.

The pieces of a word depend on the word alone. They come from the Rust library
`tokenizers`.
"""

import numpy as np
import tokenizers

from keras_convbert.data.word_splitter import LONGEST_WORD
from keras_convbert.data.word_splitter import WordSplitter

MOST_WORDS = 1 << 18


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
