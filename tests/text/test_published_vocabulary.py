"""The vocabulary that the ConvBERT authors published opens repaired."""

import hashlib
import os

import pytest

from keras_convbert.models import ConvBertTokenizer
from keras_convbert.text import published_vocabulary
from tests.models.convbert.texts import SPECIAL

pytestmark = pytest.mark.once

# Of the whole vocabulary, in the release of BERT.
BERT_UNCASED = (
    "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
)
PUBLISHED = "CONVBERT_PUBLISHED_VOCABULARY"


def garble(token):
    return token.encode().decode("gb18030", "replace").replace("\ufffd", "?")


@pytest.fixture
def whole(monkeypatch):
    """A smaller BERT-uncased, whose hash and lines are known instead."""
    foreign = [*published_vocabulary.foreign_lines().values()]
    tokens = [*SPECIAL, "the", *foreign[:700], "##s", *foreign[700:], "a"]
    lines = {i: t for i, t in enumerate(tokens) if not t.isascii()}
    monkeypatch.setattr(published_vocabulary, "foreign_lines", lambda: lines)
    monkeypatch.setattr(published_vocabulary, "SIZE", len(tokens))
    monkeypatch.setattr(
        published_vocabulary,
        "ASCII_HASH",
        published_vocabulary.ascii_hash(tokens),
    )
    return tokens


def write(folder, lines, end="\r\n"):
    path = folder / "vocab.txt"
    path.write_bytes("".join(f"{line}{end}" for line in lines).encode())
    return path


def test_table_has_the_foreign_lines_of_bert():
    table = published_vocabulary.foreign_lines()
    assert len(table) == len({*table.values()}) == 1900
    assert not any(token.isascii() for token in table.values())
    assert [*table] == sorted(table)
    assert 0 < min(table) < max(table) < published_vocabulary.SIZE
    assert sum(token.startswith("##") for token in table.values()) > 500


def test_damage_is_repaired_with_one_warning(whole, tmp_path, recwarn):
    path = write(tmp_path, map(garble, whole))
    tokenizer = ConvBertTokenizer(path)
    assert tokenizer.get_vocabulary() == whole
    listed = ConvBertTokenizer([*map(garble, whole)])
    assert listed.get_vocabulary() == whole
    for warning in recwarn:
        assert "1900 of 1908 tokens are repaired" in str(warning.message)
    assert len(recwarn) == 2
    recwarn.clear()
    assert ConvBertTokenizer(write(tmp_path, whole, "\n")).get_vocabulary() == (
        whole
    )
    assert not recwarn


@pytest.mark.parametrize("change", ["ascii", "order", "length"])
def test_another_damaged_vocabulary_is_refused(change, whole, tmp_path):
    damaged = [*map(garble, whole)]
    if change == "ascii":
        damaged[5] = "other"
    elif change == "order":
        damaged[5], damaged[-1] = damaged[-1], damaged[5]
    else:
        damaged.append("b")
    path = write(tmp_path, damaged, "\n")
    with pytest.raises(ValueError, match="damaged: its UTF-8 was read as GBK"):
        ConvBertTokenizer(path)


@pytest.mark.skipif(PUBLISHED not in os.environ, reason=f"needs {PUBLISHED}")
def test_the_published_file():
    with pytest.warns(UserWarning, match="1900 of 30522 tokens are repaired"):
        tokenizer = ConvBertTokenizer(os.environ[PUBLISHED])
    content = "".join(f"{token}\n" for token in tokenizer.get_vocabulary())
    assert hashlib.sha256(content.encode()).hexdigest() == BERT_UNCASED
