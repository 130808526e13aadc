import itertools
import random

import pytest

from keras_convbert.data import word_pieces
from keras_convbert.data.word_pieces import WordPieces
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.text import bert_pretokenizer

pytestmark = pytest.mark.once

TOKENS = (
    "[PAD] [UNK] [CLS] [SEP] [MASK] a b c A B É é e ##a ##b ##B ##e ##é".split()
)
TOKENS += [
    "##s",
    "ss",
    "ab",
    "##ab",
    "ß",
    "i",
    ".",
    ",",
    "中",
    "[",
    "]",
    "mask",
]
SETTINGS = list(itertools.product([True, False], [True, False]))
BY_SETTINGS = pytest.mark.parametrize(
    ("lowercase", "strip_accents"),
    SETTINGS,
    ids=[f"lowercase={a}-strip_accents={b}" for a, b in SETTINGS],
)


def pair(lowercase=True, strip_accents=True):
    """A tokenizer, and the quick form of it."""
    tokenizer = ConvBertTokenizer(TOKENS, lowercase, strip_accents)
    rust = bert_pretokenizer.wordpiece_tokenizer(
        TOKENS, "[UNK]", lowercase, strip_accents
    )
    return tokenizer, WordPieces(rust.to_str(), "uint16")


@pytest.mark.parametrize("lowercase", [True, False])
def test_ids_equal_those_of_the_tokenizer_around_any_character(lowercase):
    characters = map(chr, [*range(0x3000), *range(0x3000, 0x110000, 97)])
    texts = [f"a{c}b" for c in characters if not "\ud800" <= c < "\ue000"]
    tokenizer, pieces = pair(lowercase, strip_accents=lowercase)
    assert [pieces(text).tolist() for text in texts] == tokenizer(texts)


@BY_SETTINGS
def test_ids_equal_those_of_the_tokenizer_on_noise(lowercase, strip_accents):
    alphabet = "aAbBcéÉe\u0301ßİΣς.,[]中 \u00a0\u2028\t\0\x1c\x85\u200b\ufffd"
    rng = random.Random(0)
    texts = ["".join(rng.choices(alphabet, k=n % 40)) for n in range(1000)]
    texts += ["", "[MASK] [SEP]", "a" * 100, "a" * 101, "ab" * 5000]
    tokenizer, pieces = pair(lowercase, strip_accents)
    assert [pieces(text).tolist() for text in texts] == tokenizer(texts)


def test_words_are_forgotten_when_there_are_too_many(monkeypatch):
    monkeypatch.setattr(word_pieces, "MOST_WORDS", 10)
    tokenizer, pieces = pair()
    words = ["".join(w) for w in itertools.product("abc", repeat=4)]
    text = " ".join([*words, "a" * 200])
    assert pieces(text).tolist() == tokenizer(text).tolist()
    assert 0 < len(pieces._ids) <= 10
