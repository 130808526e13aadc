import collections
import itertools
import lzma

import pytest

import keras_convbert.data as data
from keras_convbert.data import documents
from keras_convbert.models import ConvBertTokenizer
from tests.data import corpora

pytestmark = pytest.mark.once

SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def train_vocabulary(tmp_path, text, size, **options):
    (tmp_path / "corpus.txt").write_text(text, encoding="utf-8")
    options = {"workers": 1, "progress": False, **options}
    return data.train_vocabulary(tmp_path / "corpus.txt", size, **options)


def vocabulary_by_loops(words, size):
    """Joins the most frequent pair, or of several the one of least ids."""
    words = [[w[0], *(f"##{c}" for c in w[1:])] for w in words]
    pieces = {piece for word in words for piece in word}
    inside = {piece for piece in pieces if piece.startswith("##")}
    starts = {piece.removeprefix("##") for piece in pieces}
    tokens = [*SPECIAL_TOKENS, *sorted(inside), *sorted(starts)]
    while len(tokens) < size:
        pairs = collections.Counter(
            (tokens.index(a), tokens.index(b))
            for word in words
            for a, b in itertools.pairwise(word)
        )
        pair = min(pairs, key=lambda p: (-pairs[p], p), default=None)
        if pair is None or pairs[pair] < 2:
            break
        left, right = tokens[pair[0]], tokens[pair[1]]
        joined = left + right.removeprefix("##")
        if joined not in tokens:
            tokens.append(joined)
        for word in words:
            for i in reversed(range(len(word) - 1)):
                if word[i : i + 2] == [left, right]:
                    word[i : i + 2] = [joined]
    return tokens


def test_hand_worked_example(tmp_path):
    """Of pairs: ow and lo 8, er and we 5, then low-er 3, h-er and so on 2."""
    text = "Low low LOW, lower lower\nlower lowest\n\nlowest her her"
    vocabulary = train_vocabulary(tmp_path, text, 40)
    assert vocabulary == [
        *SPECIAL_TOKENS,
        *["##e", "##o", "##r", "##s", "##t", "##w"],
        *[",", "e", "h", "l", "o", "r", "s", "t", "w"],
        *["##ow", "low", "##er", "lower", "##es", "her", "lowes", "lowest"],
    ]


@pytest.mark.parametrize("size", [40, 90, 1000])
def test_vocabulary_equals_that_of_a_loop_each_time(tmp_path, size):
    """Also where pairs are equally frequent, as very often here."""
    words = "".join(corpora.text(documents=30)).replace(" ", "").split()
    wanted = vocabulary_by_loops(
        [piece for word in words for piece in word.replace(".", " . ").split()],
        size,
    )
    for _ in range(5):
        assert train_vocabulary(tmp_path, "\n".join(words), size) == wanted
    assert len(wanted) == size or size == 1000


def test_result_depends_on_neither_workers_nor_chunks_nor_packing(
    tmp_path, monkeypatch
):
    text = corpora.text(documents=200)
    wanted = train_vocabulary(tmp_path, text, 60)
    monkeypatch.setattr(documents, "CHUNK_SIZE", 1000)
    halves = text.split("\n\n")
    (tmp_path / "a").write_text("\n\n".join(halves[:90]))
    (tmp_path / "b").write_bytes(
        lzma.compress("\n\n".join(halves[90:]).encode())
    )
    found = data.train_vocabulary(
        [tmp_path / "a", tmp_path / "b"], 60, workers=2, progress=False
    )
    assert found == wanted


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, ["cafe", "naive"]),
        ({"strip_accents": False}, ["café", "naïve"]),
        ({"lowercase": False}, ["Café", "NAÏVE"]),
        (
            {"lowercase": False, "strip_accents": True},
            ["Cafe", "NAIVE"],
        ),
    ],
    ids=["default", "accents", "case", "case-without-accents"],
)
def test_words_are_those_of_a_tokenizer_of_the_same_settings(
    tmp_path, options, words
):
    text = "Café NAÏVE " * 5
    vocabulary = train_vocabulary(tmp_path, text, 100, **options)
    assert {token for token in vocabulary if len(token) > 3} >= set(words)
    tokenizer = ConvBertTokenizer(vocabulary, **options)
    found = [tokenizer.id_to_token(i) for i in tokenizer("Café NAÏVE")]
    assert found == words


def test_characters_take_half_of_a_small_vocabulary(tmp_path):
    """The most frequent ones; of those with the same number the first."""
    text = "ab " * 50 + "cd " * 40 + "ef " * 30 + "hg " * 30
    vocabulary = train_vocabulary(tmp_path, text, 20)
    # Room for 10: a, b, ##b, c, d, ##d, e, f, ##f, and g no more: with ##g
    # that were 11.
    assert vocabulary == [
        *SPECIAL_TOKENS,
        *["##b", "##d", "##f", "a", "b", "c", "d", "e", "f"],
        *["ab", "cd", "ef"],
    ]


def test_rare_characters_get_no_tokens(tmp_path):
    """Those that are together not over one in 10,000, here two."""
    for number, wanted in [(2, True), (1, False)]:
        text = "aa " * 10_500 + "β" * number + "\n" + "γ"
        vocabulary = train_vocabulary(tmp_path, text, 200)
        assert ("β" in vocabulary) == wanted
        assert "γ" not in vocabulary


def test_words_that_no_tokenizer_knows_are_left_out(tmp_path):
    text = ("a" * 101 + " ") * 50 + "bc bc"
    vocabulary = train_vocabulary(tmp_path, text, 100)
    assert vocabulary == [*SPECIAL_TOKENS, "##c", "b", "c", "bc"]


def test_bounds_of_memory_and_time(tmp_path, monkeypatch):
    module = data.train_vocabulary.__globals__
    monkeypatch.setattr(documents, "CHUNK_SIZE", 1)
    monkeypatch.setitem(module, "MOST_DISTINCT_WORDS", 3)
    monkeypatch.setitem(module, "MOST_WORDS", 60)
    monkeypatch.setitem(module, "WORDS_IN_A_TEXT", 7)
    text = "aa " * 400 + "\n\n" + "bb " * 200 + "\n\ncd ce cf\n\n" + "aa"
    vocabulary = train_vocabulary(tmp_path, text, 100)
    assert vocabulary == [*SPECIAL_TOKENS, "##a", "##b", "a", "b", "aa", "bb"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a b", {"size": 19}, "`size` of at least 20.*Received: size=19"),
        ("a b", {"size": 50, "workers": 0}, "Received: workers=0"),
        (" \n", {"size": 50}, "files with text in them. Received: .*corpus"),
        ("\u200b", {"size": 50}, "files with text in them."),
    ],
    ids=["size", "workers", "blank", "no-word"],
)
def test_bad_arguments_are_refused(tmp_path, text, options, message):
    with pytest.raises(ValueError, match=message):
        train_vocabulary(tmp_path, text, **options)


def test_progress_is_shown_if_wanted(tmp_path, capfd):
    train_vocabulary(tmp_path, "a b", 50, progress=True)
    assert "1/1" in capfd.readouterr().out


def test_extra_tokens_are_whole_and_give_no_word_pieces(tmp_path):
    text = "low <URL> lower <url>lowest <url> her new_york"
    extra = ["<url>", "low", "new_york"]
    vocabulary = train_vocabulary(tmp_path, text, 60, extra_tokens=extra)
    assert vocabulary[:8] == [*SPECIAL_TOKENS, *extra]
    assert len(set(vocabulary)) == len(vocabulary)
    # Of "<URL>", which is another text, and none of "new_york".
    assert {"url", "<"} & {*vocabulary} == {"<"}
    assert not {"##k", "n", "_"} & {*vocabulary}
    tokenizer = ConvBertTokenizer(vocabulary, added_tokens=extra)
    assert tokenizer.get_vocabulary() == vocabulary
    assert tokenizer.vocabulary_size() == len(vocabulary)
    assert tokenizer("<URL> new_york").tolist() == [5, 7]


@pytest.mark.parametrize(
    ("size", "extra", "message"),
    [
        (21, ["<a>", "<b>"], "size=21 and 2 extra tokens"),
        (40, ["[MASK]"], r"Received: '\[MASK\]'"),
        (40, ["<a>", "<a>"], "Received: '<a>'"),
        (40, [" a"], "Received: {'content': ' a'}"),
        (40, "<a>", "Expected a list.*added_tokens='<a>'"),
    ],
)
def test_bad_extra_tokens_are_refused(size, extra, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        train_vocabulary(tmp_path, "a b", size, extra_tokens=extra)
