"""Added tokens are matched as `tokenizers` matches them, in graphs too."""

import copy
import json
import pickle
import random

import numpy as np
import pytest
import tokenizers

from keras_convbert.data.word_pieces import WordPieces
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.text.bert_pretokenizer import character_table
from tests.models.convbert.texts import SPECIAL
from tests.models.convbert.texts import WORDS
from tests.models.convbert.texts import in_graph
from tests.text.test_bert_pretokenizer import with_offsets
from tests.text.test_bert_pretokenizer import with_offsets_in_graph

pytestmark = pytest.mark.once

# Overlapping, in other cases and scripts, inside of words, of one character,
# with spaces inside, and cleaned to something else.
CONTENTS = [
    *(
        "<loc>",
        "<Loc2>",
        "<",
        "ab",
        "abc",
        "BC",
        "a",
        "CAFÉ",
        "cafe",
        "[MASK]x",
    ),
    *("New York", "東京", "京a", "é", "##b", "x_y", "İ", "a\u0301b", "1", "…"),
]
ROUNDS = 1
FLAGS = ("lstrip", "rstrip", "normalized", "single_word")
PARTS = [
    *("ab", "abc", "ABC", "bc", "a", "b", "c", "é", "É", "cafe", "Café", "loc"),
    *("<", ">", "<loc>", "<LOC>", "<Loc2>", "2", "_", "x_y", "X_y", "1", "…"),
    *(
        "東",
        "京",
        "東京",
        "New York",
        "new  york",
        "İ",
        "i",
        "\u0301",
        "中",
        "##b",
    ),
    *(" ", " ", "  ", "\t", "\n", "\u00a0", "\u0085", "\u3000", "\u200d", "\0"),
    *(".", "-", "[", "\U000f0000", "\U000f0001", "\U000f0002", "\ufffd", "ⓐ"),
]
LETTERS = sorted({c for part in PARTS for c in part.lower() + part} - {*"\0\n"})
VOCABULARY = [
    *dict.fromkeys(
        [*SPECIAL, *WORDS, "ab", "abc", *LETTERS, *(f"##{c}" for c in LETTERS)]
    )
]


def reference(vocabulary, texts, added, lowercase):
    """Ids, starts and ends in `transformers`."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.ConvBertTokenizer(
        vocab={token: i for i, token in enumerate(vocabulary)},
        do_lower_case=lowercase,
    )
    tokenizer.add_tokens(
        [
            token
            if isinstance(token, str)
            else transformers.AddedToken(**{"normalized": True, **token})
            for token in added
        ]
    )
    found = tokenizer(
        texts, add_special_tokens=False, return_offsets_mapping=True
    )
    return tokenizer, [
        (list(ids), [s for s, _ in spans], [e for _, e in spans])
        for ids, spans in zip(
            found["input_ids"], found["offset_mapping"], strict=True
        )
    ]


def drawn_tokens(generator, lowercase):
    """Some added tokens with flags, of which no two look alike."""
    tokens = {}
    for content in generator.sample(CONTENTS, generator.randrange(8, 12)):
        token = {flag: generator.random() < 0.3 for flag in FLAGS}
        form = content.lower() if lowercase else content
        form = form.replace("é", "e") if lowercase else form
        tokens.setdefault(form, {"content": content, **token})
    return [*tokens.values()]


@pytest.mark.parametrize(
    ("lowercase", "special"),
    [
        pytest.param(True, True, id="uncased-special"),
        pytest.param(False, False, id="cased-plain"),
        pytest.param(True, False, id="uncased-plain", marks=pytest.mark.long),
        pytest.param(False, True, id="cased-special", marks=pytest.mark.long),
    ],
)
def test_noise_around_added_tokens_gets_the_ids_of_transformers(
    lowercase, special
):
    generator = random.Random(f"{lowercase} {special}")
    parts = [*PARTS, *SPECIAL] if special else PARTS
    hits = 0
    for _ in range(ROUNDS):
        added = drawn_tokens(generator, lowercase)
        contents = [token["content"] for token in added]
        texts = [
            "".join(generator.choices(parts + 4 * contents, k=7))
            for _ in range(300)
        ]
        if not special:
            texts = [t for t in texts if not any(s in t for s in SPECIAL)]
        tokenizer = ConvBertTokenizer(
            VOCABULARY,
            lowercase,
            added_tokens=added,
            special_tokens_in_strings=special,
        )
        theirs, wanted = reference(VOCABULARY, texts, added, lowercase)
        assert tokenizer.vocabulary_size() == len(theirs)
        ids = [row[0] for row in wanted]
        assert [list(row) for row in tokenizer(texts)] == ids, added
        assert in_graph(tokenizer, texts) == ids, added
        found = with_offsets(tokenizer, texts)
        assert found == wanted, added
        for text, one, other in zip(
            texts, with_offsets_in_graph(tokenizer, texts), found, strict=True
        ):
            assert tuple(map(list, one)) == tuple(map(list, other)), (
                text,
                added,
            )
        new = {theirs.convert_tokens_to_ids(content) for content in contents}
        hits += sum(bool(new & {*row}) for row in ids)
    assert hits > 200


@pytest.mark.parametrize(
    ("lowercase", "strip_accents"),
    [
        (True, True),
        pytest.param(True, False, marks=pytest.mark.long),
        pytest.param(False, True, marks=pytest.mark.long),
        pytest.param(False, False, marks=pytest.mark.long),
    ],
)
def test_cleaning_twice_is_cleaning_once(lowercase, strip_accents):
    """So that a graph may search a clean text, then clean and split it."""
    split = character_table(lowercase, strip_accents, marks=True)
    clean = character_table(lowercase, strip_accents, marks=True, split=False)

    def entries(table):
        parts = np.split(table.values, table.splits[1:-1])
        codes = table.codes[table.pages].ravel()
        return [tuple(part) for part in parts], codes

    split_parts, split_codes = entries(split)
    clean_parts, clean_codes = entries(clean)

    def words(code):
        part = split_parts[split_codes[code]]
        text = "".join(chr(code if c == -1 else c) for c in part)
        return f"a{text}a".split()

    # Each entry of the table, by one of its characters.
    changed = np.flatnonzero(clean_codes)
    changed = [int(c) for c in changed if not 0xD800 <= c < 0xE000]
    assert len(changed) > 1000
    for code in changed[::7]:
        part = clean_parts[clean_codes[code]]
        once = [code if c == -1 else c for c in part]
        twice = [
            c if other == -1 else other
            for c in once
            for other in clean_parts[clean_codes[c]]
        ]
        text = "".join(map(chr, twice))
        assert text.split() == "".join(map(chr, once)).split()
        again = "".join(
            chr(c if other == -1 else other)
            for c in once
            for other in split_parts[split_codes[c]]
        )
        assert f"a{again}a".split() == words(code)


def test_add_tokens_gives_the_next_ids():
    tokenizer = ConvBertTokenizer(WORDS)
    size = len(WORDS)
    assert tokenizer.add_tokens(["<loc>", "a", {"content": "<Per>"}]) == 2
    again = [tokenizers.AddedToken("<org>", normalized=True)] * 2
    assert tokenizer.add_tokens(["<loc>", *again]) == 1
    assert tokenizer.get_vocabulary() == [*WORDS, "<loc>", "<Per>", "<org>"]
    assert tokenizer.model_vocabulary == WORDS
    assert tokenizer.token_to_id("<org>") == size + 2
    ids = [size, 10, size + 1, size + 2]
    for text in ("<loc>a<per><ORG>", "<LOC> a <PER> <org>"):
        assert tokenizer(text).tolist() == ids
        assert in_graph(tokenizer, [text]) == [ids]
    strings = ConvBertTokenizer(WORDS, dtype="string", added_tokens=["<Loc>"])
    assert strings("a<loc>") == ["a", "<Loc>"]
    assert in_graph(strings, ["a<loc>"]) == [[b"a", b"<Loc>"]]


def test_added_tokens_are_detokenized():
    import tensorflow as tf

    tokenizer = ConvBertTokenizer(WORDS, added_tokens=["<loc>", "New York"])
    ids = tokenizer("a <loc>opens new york")
    assert tokenizer.detokenize(ids) == "a <loc> opens New York"
    text = tf.function(tokenizer.detokenize)(tf.constant(ids))
    assert text.numpy().decode() == "a <loc> opens New York"


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        pytest.param("<loc>", "list.*added_tokens='<loc>'", id="string"),
        pytest.param([""], "Received: {'content': ''}", id="empty"),
        pytest.param([" a"], "without spaces at its ends", id="space"),
        pytest.param(["a\nb"], "line ends", id="line-end"),
        pytest.param([7], "Received: 7", id="number"),
        pytest.param(
            ["[CLS]"], r"none of the special.*'\[CLS\]'", id="special"
        ),
        pytest.param(["<x>", "<X>"], "'<X>'.*as '<x>' does", id="alike"),
        pytest.param(["\u200b"], "are not empty", id="cleaned-away"),
        pytest.param([{"content": "a", "wide": True}], "wide", id="flag"),
        pytest.param([{"content": "a", "lstrip": 1}], "lstrip", id="value"),
    ],
)
def test_bad_tokens_are_refused_and_change_nothing(tokens, message):
    with pytest.raises(ValueError, match=message):
        ConvBertTokenizer(WORDS, added_tokens=tokens)
    tokenizer = ConvBertTokenizer(WORDS)
    with pytest.raises(ValueError, match=message):
        tokenizer.add_tokens(tokens)
    assert tokenizer.get_vocabulary() == WORDS
    assert tokenizer.added_tokens == ()
    with pytest.raises(ValueError, match="No vocabulary has been set"):
        ConvBertTokenizer().add_tokens(["<x>"])


@pytest.mark.parametrize("longest", [1, 3, 200])
def test_longest_word(longest):
    words = [*SPECIAL, "a", "##a"]
    tokenizer = ConvBertTokenizer(
        words, max_input_chars_per_word=longest, added_tokens=["bbbbb"]
    )
    texts = ["a" * longest, "a" * (longest + 1), "bbbbb"]
    wanted = [[5] + [6] * (longest - 1), [1], [7]]
    assert [list(ids) for ids in tokenizer(texts)] == wanted
    assert in_graph(tokenizer, texts) == wanted
    for bad in (0, 2.5, True):
        with pytest.raises(ValueError, match="max_input_chars_per_word="):
            ConvBertTokenizer(words, max_input_chars_per_word=bad)


def test_copies_and_exports_keep_added_tokens(tmp_path):
    import tensorflow as tf

    texts = ["a <loc>b", "<LOC>", ""]
    tokenizer = ConvBertTokenizer(
        WORDS,
        sequence_length=4,
        special_tokens_in_strings=True,
        added_tokens=["<loc>", {"content": "b", "single_word": True}],
        max_input_chars_per_word=50,
    )
    tokenizer.save_to_preset(tmp_path / "preset")
    config = json.loads(json.dumps(tokenizer.get_config()))
    revived = ConvBertTokenizer.from_config(config)
    revived.set_vocabulary(WORDS)
    copies = [
        ConvBertTokenizer.from_preset(tmp_path / "preset"),
        copy.deepcopy(tokenizer),
        pickle.loads(pickle.dumps(tokenizer)),
        revived,
    ]
    for found in copies:
        assert found.get_config() == tokenizer.get_config()
        assert found.get_vocabulary() == tokenizer.get_vocabulary()
        np.testing.assert_array_equal(found(texts), tokenizer(texts))
    module = tf.Module()
    module.ids = tf.function(
        tokenizer, input_signature=[tf.TensorSpec([None], "string")]
    )
    module.tokenizer = tokenizer
    tf.saved_model.save(module, str(tmp_path / "saved"))
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    np.testing.assert_array_equal(
        loaded.ids(tf.constant(texts)), tokenizer(texts)
    )


def test_thousands_of_added_tokens():
    added = [f"<item{i}>" for i in range(3000)]
    tokenizer = ConvBertTokenizer(WORDS, added_tokens=added)
    texts = [f"a <item{i}>b<item{i}0>" for i in range(7, 400, 7)]
    wanted = [
        [10, len(WORDS) + i, 11, len(WORDS) + 10 * i] for i in range(7, 300, 7)
    ]
    assert [list(ids) for ids in tokenizer(texts)][: len(wanted)] == wanted
    assert in_graph(tokenizer, texts) == tokenizer(texts)


def test_prepared_data_has_the_same_ids():
    tokenizer = ConvBertTokenizer(WORDS, added_tokens=["<loc>", "caf"])
    pieces = WordPieces(tokenizer.rust_tokenizer(False).to_str(), "uint16")
    for text in ("a <LOC>b", "cafe [MASK]", ""):
        assert pieces(text).tolist() == list(tokenizer(text))
