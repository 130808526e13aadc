import pytest

from keras_convbert.models import ConvBertTokenizer
from keras_convbert.text.vocabulary import check_vocabulary
from keras_convbert.text.vocabulary import read_vocabulary

pytestmark = pytest.mark.once

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# As they stand in BERT's vocabulary.
FOREIGN = [
    *"£©éßøłšəαβγδжийкאבגابت中文字日本人あいう–—‘’“”…€™√∞",
    *("##中", "##ий", "##ος", "français", "москва", "über"),
]
GERMAN = ["für", "über", "schön", "größe", "mädchen", "##ö", "##ß"]
CHINESE = [*"的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你"]


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "vocab.txt"
        path.write_bytes(content)
        return str(path)

    return write


def test_file_holds_one_token_a_line(write):
    # Spaces of any kind are part of a token, and so is what Python takes for
    # a line end beside LF.
    tokens = [*SPECIAL, "a", "a ", "a\u00a0", "a\u2028b", "é"]
    path = write("\n".join(tokens).encode())
    assert read_vocabulary(path) == tokens
    path = write("".join(f"{token}\n" for token in tokens).encode())
    assert read_vocabulary(path) == tokens


def test_carriage_returns_are_left_out_with_a_warning(write):
    path = write("".join(f"{t}\r\n" for t in [*SPECIAL, "a"]).encode())
    with pytest.warns(UserWarning, match=r"vocab.txt' end in CRLF"):
        tokenizer = ConvBertTokenizer(path)
    assert tokenizer.get_vocabulary() == [*SPECIAL, "a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"\xef\xbb\xbf[PAD]\n", "byte-order mark", id="bom"),
        pytest.param(b"[PAD]\n\xe9\n", "in UTF-8, but 'utf-8'", id="latin-1"),
        pytest.param("[PAD]\n".encode("utf-16"), "UTF-8", id="utf-16"),
    ],
)
def test_other_encodings_are_refused(write, content, message):
    path = write(content)
    with pytest.raises(ValueError, match=message) as error:
        ConvBertTokenizer(path)
    assert f"Received: vocabulary={path!r}" in str(error.value)


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing.txt"):
        ConvBertTokenizer(str(tmp_path / "nothing.txt"))


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        pytest.param(
            [*SPECIAL, "a", "b", "a"],
            r"1 tokens more than once, the first of them \['a'\]",
            id="duplicate",
        ),
        pytest.param(
            ["[PAD]", "[UNK]", "[CLS]", "a"],
            r"special tokens \['\[MASK\]', '\[SEP\]'\].*4 tokens",
            id="missing",
        ),
        pytest.param(SPECIAL[2:], r"'\[PAD\]', '\[UNK\]'", id="no-unknown"),
        pytest.param(
            {token: i for i, token in enumerate(SPECIAL)},
            r"in the order of their ids.*vocabulary=\{'\[CLS\]': 2",
            id="dict",
        ),
        pytest.param(set(SPECIAL), "in the order of their ids", id="set"),
        pytest.param(7, r"Received: vocabulary=7", id="no-list"),
        pytest.param([*SPECIAL, ""], r"vocabulary\[5\]=''", id="empty"),
        pytest.param([*SPECIAL, 7], r"vocabulary\[5\]=7", id="number"),
        pytest.param([*SPECIAL, "a\n"], r"\[5\]='a\\n'", id="line-end"),
        pytest.param([*SPECIAL, "a\r"], r"\[5\]='a\\r'", id="return"),
        pytest.param([*SPECIAL, "\0"], r"\[5\]='\\x00'", id="nul"),
    ],
)
def test_broken_vocabularies_are_refused(tokens, message):
    with pytest.raises(ValueError, match=message):
        ConvBertTokenizer(tokens)


@pytest.mark.parametrize(
    ("tokens", "encoding", "name"),
    [
        pytest.param(FOREIGN, "gbk", "GBK", id="gbk"),
        pytest.param(FOREIGN, "gb18030", "GBK", id="gb18030"),
        pytest.param(GERMAN, "cp1252", "Windows-1252", id="cp1252"),
        pytest.param(FOREIGN, "latin-1", "Latin-1", id="latin-1"),
    ],
)
@pytest.mark.parametrize("substitute", ["\ufffd", "?"])
def test_garbled_vocabularies_are_refused(
    write, tokens, encoding, name, substitute
):
    garbled = [
        token.encode().decode(encoding, "replace").replace("\ufffd", substitute)
        for token in tokens
    ]
    lines = [*SPECIAL, "the", "##s", *garbled]
    path = write("".join(f"{line}\r\n" for line in lines).encode())
    with pytest.raises(ValueError, match=f"damaged: .*{name}") as error:
        with pytest.warns(UserWarning, match="CRLF"):
            ConvBertTokenizer(path)
    assert repr(garbled[0])[1:-1] in str(error.value)


@pytest.mark.parametrize("tokens", [FOREIGN, GERMAN, CHINESE])
def test_sound_vocabularies_pass(tokens):
    tokens = [*SPECIAL, *tokens]
    assert check_vocabulary(tokens, SPECIAL) == tokens


def test_tokenizer_keeps_its_own_copy():
    tokens = [*SPECIAL, "a"]
    tokenizer = ConvBertTokenizer(tokens)
    tokens[5] = "b"
    assert tokenizer.get_vocabulary() == [*SPECIAL, "a"]


def test_failed_replacement_changes_nothing():
    tokenizer = ConvBertTokenizer([*SPECIAL, "a"])
    with pytest.raises(ValueError, match="more than once"):
        tokenizer.set_vocabulary([*SPECIAL, "b", "b"])
    assert tokenizer.get_vocabulary() == [*SPECIAL, "a"]
    assert tokenizer(["a"]) == [[5]]
