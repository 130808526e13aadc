import collections
import contextlib
import itertools
import os
from collections.abc import Iterable
from collections.abc import Iterator

import tokenizers

from keras_convbert.data.documents import Corpus
from keras_convbert.data.documents import Files
from keras_convbert.data.progress import progress_bar
from keras_convbert.data.word_counter import WordCounter
from keras_convbert.data.word_counter import WordCounts
from keras_convbert.data.workers import available_cores
from keras_convbert.data.workers import check_workers
from keras_convbert.data.workers import map_in_order
from keras_convbert.text import bert_pretokenizer
from keras_convbert.text.added_tokens import make_added_tokens
from keras_convbert.text.vocabulary import SPECIAL_TOKENS

SMALLEST_VOCABULARY = 20
LEAST_FREQUENCY = 2
# Rare characters are left out, up to this fraction of the text in total.
RARE_CHARACTERS = 1e-4
# Limits of memory and time for a large corpus.
MOST_DISTINCT_WORDS = 4_000_000
MOST_WORDS = 50_000_000
WORDS_IN_A_TEXT = 1_000
# Larger chunks have fewer distinct words in total to send and to sum up.
CHUNK_SCALE = 4
PARALLELISM = "TOKENIZERS_PARALLELISM"


def train_vocabulary(
    files: Files,
    size: int,
    lowercase: bool = True,
    strip_accents: bool | None = None,
    workers: int | None = None,
    progress: bool = True,
    column: str = "text",
    extra_tokens: Iterable[str] = (),
    errors: str = "warn",
) -> list[str]:
    """Learns a WordPiece vocabulary from text files.

    Words are split as by a `ConvBertTokenizer` with the same settings. The
    vocabulary consists of the special tokens, the characters (without the
    rarest ones, and at most half of the vocabulary), and merges of the most
    frequent pair of pieces, repeated up to `size`. The same files give the
    same vocabulary.

    Args:
        files: a path, or an iterable of paths, of UTF-8 text, plain or
            compressed by gzip, xz or zstd, JSON Lines or Parquet, as in
            `prepare`.
        size: int. Maximum number of tokens. The result has fewer if the text
            has no more pairs that occur twice.
        lowercase: bool. Whether to lowercase. Defaults to `True`.
        strip_accents: bool. Whether to strip accents; `None` is the value of
            `lowercase`. Defaults to `None`.
        workers: int. Number of processes; `None` is one per core. Defaults to
            `None`.
        progress: bool. Whether to show progress bars. Defaults to `True`.
        column: string. The column of JSON Lines and Parquet files with the
            text. Defaults to `"text"`.
        extra_tokens: list of strings. Tokens to add to the vocabulary after
            the special tokens. No word pieces are learned from them. Pass the
            same list as `added_tokens` to `ConvBertTokenizer`, which then
            never splits them. Defaults to `()`.
        errors: string. `"warn"` leaves out invalid UTF-8 with a warning, but
            raises an error if most lines have some. `"replace"` leaves it out
            in any case. Defaults to `"warn"`.

    Returns:
        The tokens in the order of their ids, `[PAD]`, `[UNK]`, `[CLS]`,
        `[SEP]` and `[MASK]` first, for `ConvBertTokenizer(vocabulary=…)`.

    Raises:
        ValueError: if an argument is out of its range, if a file is not text
            or has no such column, or if there is no text at all.
        FileNotFoundError: if a file is missing.

    Example:

    ```python
    import pathlib
    import tempfile

    from keras_convbert.data import train_vocabulary
    from keras_convbert.models import ConvBertTokenizer

    corpus = pathlib.Path(tempfile.mkdtemp()) / "corpus.txt"
    corpus.write_text("Low, lower, lowest.\\nNew, newer, newest.\\n")
    tokenizer = ConvBertTokenizer(train_vocabulary(corpus, size=40))

    extra = ["<user>", "<url>"]
    vocabulary = train_vocabulary(corpus, size=40, extra_tokens=extra)
    tokenizer = ConvBertTokenizer(vocabulary, added_tokens=extra)
    ```

    Reference:
        - [Schuster and Nakajima](https://doi.org/10.1109/ICASSP.2012.6289079),
          "Japanese and Korean voice search", section 3
    """
    extra = [
        token.content
        for token in make_added_tokens(extra_tokens, SPECIAL_TOKENS)
    ]
    if size < SMALLEST_VOCABULARY + len(extra):
        raise ValueError(
            f"Expected `size` of at least {SMALLEST_VOCABULARY}, besides the "
            f"extra tokens. Received: size={size} and {len(extra)} extra "
            "tokens"
        )
    workers = available_cores() if workers is None else check_workers(workers)
    if strip_accents is None:
        strip_accents = lowercase
    corpus = Corpus(files, column, errors)
    counter = WordCounter(
        bert_pretokenizer.wordpiece_tokenizer(
            SPECIAL_TOKENS, "[UNK]", lowercase, strip_accents
        ).to_str(),
        tuple(extra),
    )
    show = progress_bar(corpus.size, progress)
    chunks = corpus.chunks(show, CHUNK_SCALE)
    counts, lines, bad_lines = _sum_of_counts(
        map_in_order(counter, chunks, workers)
    )
    corpus.report_bad_lines(bad_lines, lines)
    if not counts:
        raise ValueError(
            "Expected files with text in them. Received: files="
            f"{[str(path) for path in corpus.paths]}"
        )
    return _word_pieces(counts, size, progress, extra)


def _sum_of_counts(parts: Iterator[WordCounts]) -> WordCounts:
    """Sums counts of words, without the rarest if there are too many."""
    counts: collections.Counter[str] = collections.Counter()
    lines = bad_lines = 0
    for part in parts:
        counts.update(part.words)
        lines += part.lines
        bad_lines += part.bad_lines
        least = LEAST_FREQUENCY
        while len(counts) > MOST_DISTINCT_WORDS:
            kept = {w: n for w, n in counts.items() if n >= least}
            counts = collections.Counter(kept)
            least += 1
    return WordCounts(counts, lines, bad_lines)


def _word_pieces(
    counts: dict[str, int], size: int, progress: bool, extra: list[str]
) -> list[str]:
    characters, continuing = _characters(counts, size - len(extra))
    counts = {w: n for w, n in counts.items() if characters.issuperset(w)}
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=LEAST_FREQUENCY,
        show_progress=progress,
        # The trainer breaks ties by id, and gives ids to continuing characters
        # in an order that changes between runs. As special tokens they have
        # fixed ids.
        special_tokens=[*SPECIAL_TOKENS, *extra, *continuing],
    )
    with _one_thread():
        tokenizer.train_from_iterator(_texts(counts), trainer)
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Keeps `tokenizers` from threads, which wait for each other here.

    On two cores the trainer takes 1.3 times as long with them.
    """
    former = os.environ.get(PARALLELISM)
    os.environ[PARALLELISM] = "false"
    try:
        yield
    finally:
        if former is None:
            del os.environ[PARALLELISM]
        else:
            os.environ[PARALLELISM] = former


def _characters(
    counts: dict[str, int], size: int
) -> tuple[set[str], list[str]]:
    """Returns the characters in the vocabulary, and continuing tokens."""
    frequency: collections.Counter[str] = collections.Counter()
    inside: set[str] = set()
    for word, count in counts.items():
        inside.update(word[1:])
        for character in word:
            frequency[character] += count
    rest = frequency.total()
    rare = RARE_CHARACTERS * rest
    room = size // 2
    kept: set[str] = set()
    for character, count in sorted(
        frequency.items(), key=lambda item: (-item[1], item[0])
    ):
        room -= 1 + (character in inside)
        if rest <= rare or room < 0:
            break
        kept.add(character)
        rest -= count
    return kept, [f"##{character}" for character in sorted(kept & inside)]


def _texts(counts: dict[str, int]) -> Iterator[str]:
    """Yields each word as often as counted, or proportionally less often.

    A word of one character has no pairs, and is there once. The texts have many
    words each, since each text takes the trainer time.
    """
    scale = min(1.0, MOST_WORDS / max(1, sum(counts.values())))
    words = itertools.chain.from_iterable(
        itertools.repeat(word, round(count * scale) if len(word) > 1 else 1)
        for word, count in counts.items()
    )
    while text := " ".join(itertools.islice(words, WORDS_IN_A_TEXT)):
        yield text
