import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from keras_convbert.data.documents import Chunk
from keras_convbert.data.segments import pack_segments
from keras_convbert.data.word_pieces import WordPieces
from keras_convbert.text.special_tokens import write_segments

# Before its token ids a row has the length of the first segment with [CLS] and
# [SEP], and the length of the row without padding.
LENGTH_COLUMNS = 2


class Rows(NamedTuple):
    """Rows of token ids, and counts of tokens and lines."""

    rows: np.ndarray
    tokens: int
    lines: int
    bad_lines: int


@dataclasses.dataclass(frozen=True)
class RowMaker:
    """Turns documents into rows of a fixed length.

    The random choices for a part of a document are a function of `seed` and
    the number of the part, so they do not depend on the worker.

    Args:
        tokenizer: string. A BERT `tokenizers.Tokenizer` in JSON.
        sequence_length: int. Length of a row, special tokens included.
        dtype: string. An unsigned integer type that holds the ids.
        seed: int. Seed of the random choices.
        pad_token_id: int. Id of `[PAD]`.
        start_token_id: int. Id of `[CLS]`.
        end_token_id: int. Id of `[SEP]`.

    Call arguments:
        chunk: a `Chunk`.
    """

    tokenizer: str
    sequence_length: int
    dtype: str
    seed: int
    pad_token_id: int
    start_token_id: int
    end_token_id: int

    def __call__(self, chunk: Chunk) -> Rows:
        made = []
        lines = bad_lines = 0
        for number, part in enumerate(chunk.parts, chunk.first):
            sentences = part.split(b"\n")
            texts = [_decode(sentence) for sentence in sentences]
            lines += len(texts)
            bad_lines += sum(bad for _, bad in texts)
            ids = [self._word_pieces(text) for text, _ in texts]
            made.append(self._rows(number, ids))
        rows = np.concatenate(made)
        return Rows(rows, int(rows[:, 1].sum(dtype="int64")), lines, bad_lines)

    @functools.cached_property
    def _word_pieces(self) -> WordPieces:
        return WordPieces(self.tokenizer, self.dtype)

    def _rows(self, number: int, sentences: list[np.ndarray]) -> np.ndarray:
        rng = np.random.default_rng([self.seed, number])
        lengths = map(len, sentences)
        segments = list(pack_segments(lengths, self.sequence_length, rng))
        width = LENGTH_COLUMNS + self.sequence_length
        rows = np.full((len(segments), width), self.pad_token_id, self.dtype)
        text = np.concatenate(sentences)
        start = 0
        for row, (first, second) in zip(rows, segments, strict=True):
            middle, end = start + first, start + first + second
            parts = [text[start:middle], text[middle:end]]
            ends = write_segments(
                row[LENGTH_COLUMNS:],
                parts if second else parts[:1],
                self.start_token_id,
                self.end_token_id,
            )
            row[:LENGTH_COLUMNS] = ends[0], ends[-1]
            start = end
        return rows


def _decode(line: bytes) -> tuple[str, bool]:
    """Returns the text of a line, and whether it has invalid UTF-8."""
    try:
        return line.decode("utf-8"), False
    except UnicodeDecodeError:
        return line.decode("utf-8", errors="replace"), True
