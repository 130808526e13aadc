"""Ids and places are those of BERT's tokenizer, in Python and in graphs."""

import pydoc_data.topics
import random
import unicodedata

import numpy as np
import pytest
import tokenizers

from keras_convbert.models import ConvBertTokenizer
from tests.models.convbert.texts import SPECIAL
from tests.models.convbert.texts import WORDS
from tests.models.convbert.texts import in_graph

pytestmark = pytest.mark.once

SENTENCES = [
    "Der Bär saß im Café — für 5 €, „natürlich“ draußen; überall Schnee…",
    "Los niños comían piñones: ¿qué más? ¡Ningún problema, señor Güell!",
    "Le cœur de l'été à Orléans : 17 °C, 3 × 4 = 12.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy, zażółć gęślą jaźń.",
    "İstanbul'da ılık bir gün, Iğdır'da değil. ŞIŞLI",
    "Широкая электрификация южных губерний; ёж и йод.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία: ΟΔΥΣΣΕΥΣ",
    "שָׁלוֹם עולם וגם ”ציטוט“",
    "مَرْحَبًا بالعالم، كيف حالُك؟ ۱۲۳",
    "नमस्ते दुनिया। क्या हाल है?",
    "ภาษาไทยง่ายนิดเดียว",
    "中文句子,没有空格。繁體也行！㐀𠀀",
    "日本語のカタカナとひらがな、ﾊﾝｶｸも。",
    "한국어 문장은 띄어 쓴다. 가나다",
    "Tiếng Việt có dấu: ệ ữ ằ",
    "ﬁne ﬂag ½ ² Ⅷ ① ™ 😀👩‍👩‍👧 🇩🇪 ❤️",
    "tabs\tand\nlines\r\nand\x0bverticals\x0cand\u2028and\u2029ends",
    "nbsp\u00a0here ideographic\u3000space thin\u2009space",
    "soft\u00adhyphen zero\u200bwidth joiner\u200d bom\ufeff bell\x07 \x00nul",
    "right\u202eto left \ufffd replaced \ue000 private",
    "don't -- e-mail: a_b@c.org/~d?x=1&y=$2 (#3) {4} [5] <6> `7` ^8| \\",
    "e\u0301 a\u0308 n\u0303 o\u0338 combining, Å Å \u0344",
    "x" * 100 + " " + "x" * 101 + " " + "é" * 100 + " " + "é" * 101,
]


@pytest.fixture(scope="module")
def natural_text():
    topics = pydoc_data.topics.topics.values()
    return [line for topic in topics for line in topic.splitlines()]


@pytest.fixture(scope="module")
def natural_vocabulary(natural_text):
    """Trained word pieces, and the letters of all scripts, cased or not."""
    vocabulary = list(SPECIAL)
    for lowercase in (True, False):
        trained = tokenizers.Tokenizer(tokenizers.models.WordPiece())
        trained.normalizer = tokenizers.normalizers.BertNormalizer(
            lowercase=lowercase
        )
        trained.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
        trained.train_from_iterator(
            natural_text + SENTENCES,
            tokenizers.trainers.WordPieceTrainer(
                vocab_size=1500, show_progress=False
            ),
        )
        vocabulary += sorted(trained.get_vocab())
    letters = sorted(set("".join(SENTENCES)) | {"x", "e"})
    vocabulary += [
        f"{mark}{letter}" for letter in letters for mark in ("", "##")
    ]
    return [
        token
        for token in dict.fromkeys(vocabulary)
        if not set(token) & set("\0\n\r")
    ]


def noise_vocabulary(characters):
    """Every form that BERT may give to the characters."""
    forms = {
        letter
        for c in characters
        for text in (c, c.lower())
        for letter in (*text, *unicodedata.normalize("NFD", text))
    }
    forms -= set("\0\n\r")
    return SPECIAL + [
        f"{m}{form}" for form in sorted(forms) for m in ("", "##")
    ]


def noise(generator, characters, count=2000):
    """Strings of the characters, with ordinary ones between them."""
    common = "ab é \u0301"
    return [
        "".join(
            generator.choice(characters if generator.random() < 0.7 else common)
            for _ in range(generator.randrange(15))
        )
        for _ in range(count)
    ]


def reference(vocabulary, texts, lowercase, strip_accents=None):
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.BertTokenizer(
        vocab={token: i for i, token in enumerate(vocabulary)},
        do_lower_case=lowercase,
        strip_accents=strip_accents,
    )
    # Given an argument that it does not know, it falls back to a vocabulary
    # of five tokens and says nothing.
    assert len(tokenizer) == tokenizer.vocab_size == len(vocabulary)
    found = tokenizer(
        texts, add_special_tokens=False, return_offsets_mapping=True
    )
    assert tokenizer.is_fast
    return [
        (list(ids), [s for s, _ in spans], [e for _, e in spans])
        for ids, spans in zip(
            found["input_ids"], found["offset_mapping"], strict=True
        )
    ]


def with_offsets(tokenizer, texts):
    """By text: ids, starts, ends."""
    return [*zip(*tokenizer.tokenize_with_offsets(texts), strict=True)]


def with_offsets_in_graph(tokenizer, texts):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(512)
    return [
        row
        for rows in dataset.map(tokenizer.tokenize_with_offsets)
        for row in zip(*(part.to_list() for part in rows), strict=True)
    ]


def differences(found, wanted):
    assert len(found) == len(wanted)
    return sum(list(a) != list(b) for a, b in zip(found, wanted, strict=True))


def check_all_ways(tokenizer, texts, wanted, share=0.0):
    found = with_offsets(tokenizer, texts)
    assert differences(found, wanted) <= share * len(texts)
    assert differences(with_offsets_in_graph(tokenizer, texts), found) == 0
    ids = [row[0] for row in found]
    assert differences(tokenizer(texts), ids) == 0
    assert differences(in_graph(tokenizer, texts), ids) == 0


CASES = [
    pytest.param(True, None, id="uncased"),
    pytest.param(False, None, id="cased"),
    pytest.param(True, False, id="uncased-accents"),
    pytest.param(False, True, id="cased-stripped"),
]


@pytest.mark.parametrize(("lowercase", "strip_accents"), CASES)
def test_natural_text_gets_the_ids_of_bert(
    natural_text, natural_vocabulary, lowercase, strip_accents
):
    options = {"lowercase": lowercase, "strip_accents": strip_accents}
    texts = natural_text[::4] + SENTENCES
    assert not [t for t in texts if any(token in t for token in SPECIAL)]
    tokenizer = ConvBertTokenizer(natural_vocabulary, **options)
    wanted = reference(natural_vocabulary, texts, **options)
    check_all_ways(tokenizer, texts, wanted)
    # Few are unknown, so that equal ids say something.
    flat = np.concatenate([ids for ids, _, _ in wanted])
    assert np.mean(flat == 1) < 0.02


@pytest.mark.parametrize("lowercase", [True, False], ids=["uncased", "cased"])
def test_noise_over_the_characters_of_unicode_gets_the_ids_of_bert(lowercase):
    # All that this Python's Unicode (14 or later) knows: the characters of
    # Unicode 8 are among them. Kinds are drawn alike, or most were Chinese.
    kinds = {}
    for codepoint in range(1, 0x110000):
        kind = unicodedata.category(chr(codepoint))
        if kind not in ("Cn", "Co", "Cs"):
            kinds.setdefault(kind, []).append(chr(codepoint))
    generator = random.Random(0)
    characters = [
        c
        for members in kinds.values()
        for c in generator.sample(members, min(100, len(members)))
    ]
    texts = noise(generator, characters)
    vocabulary = noise_vocabulary(characters)
    tokenizer = ConvBertTokenizer(vocabulary, lowercase=lowercase)
    wanted = reference(vocabulary, texts, lowercase)
    check_all_ways(tokenizer, texts, wanted)
    assert np.mean(np.concatenate([ids for ids, _, _ in wanted]) == 1) < 0.2


@pytest.mark.parametrize("lowercase", [True, False], ids=["uncased", "cased"])
def test_noise_over_all_code_points_gets_the_ids_of_bert(lowercase):
    generator = random.Random(1)
    codepoints = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
    characters = [chr(c) for c in generator.sample(codepoints, 5000)]
    texts = noise(generator, characters)
    vocabulary = noise_vocabulary(characters)
    tokenizer = ConvBertTokenizer(vocabulary, lowercase=lowercase)
    wanted = reference(vocabulary, texts, lowercase)
    check_all_ways(tokenizer, texts, wanted, share=0.001)


def broken_bytes(generator):
    pieces = [
        *(character.encode() for character in "ab é中😀[]M \u0301"),
        b"\0",
        b"\xff",
        b"\x80",
        b"\xc3",
        b"\xe4\xb8",
        b"\xf0\x9f\x98",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xef\xbb\xbf",
        b"[MASK]",
        "\U000f0001".encode(),
    ]
    return b"".join(generator.choices(pieces, k=generator.randrange(12)))


@pytest.mark.parametrize("special", [False, True])
def test_graph_treats_nul_and_broken_utf8_as_python_does(special):
    generator = random.Random(2)
    texts = [broken_bytes(generator) for _ in range(5000)]
    tokenizer = ConvBertTokenizer(
        noise_vocabulary("abe中😀[]mask"), special_tokens_in_strings=special
    )
    check_all_ways(tokenizer, texts, with_offsets(tokenizer, texts))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a\0b", ["a", "##b"]),
        (b"a\xffb", ["a", "##b"]),
        (b"a\xed\xa0\x80b", ["a", "##b"]),
        ("a\u00a0b", ["a", "b"]),
        ("a\x07\u200b\ufffdb", ["a", "##b"]),
        ("CAFÉ cafe\u0301s.", ["cafe", "cafe", "##s", "."]),
        ("a" + "b" * 99, ["a"] + ["##b"] * 99),
        ("a" + "b" * 100, ["[UNK]"]),
        ("[MASK]", ["[", "mask", "]"]),
    ],
)
def test_hand_worked_examples(text, tokens):
    tokenizer = ConvBertTokenizer(WORDS, dtype="string")
    assert tokenizer(text) == tokens
    wanted = [token.encode() for token in tokens]
    assert in_graph(tokenizer, [text]) == [wanted]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("Cafés\u00a0[MASK]\u0301", [(0, 4), (4, 5), (6, 12)]),
        ("中😀", [(0, 1), (1, 2)]),
        ("a" * 101 + " a", [(0, 101), (102, 103)]),
        ("a\x07\u200bb", [(0, 1), (3, 4)]),
        ("", []),
    ],
)
def test_places_are_those_of_the_text(text, spans):
    tokenizer = ConvBertTokenizer(WORDS, special_tokens_in_strings=True)
    _, starts, ends = tokenizer.tokenize_with_offsets(text)
    assert [*zip(starts, ends, strict=True)] == spans
    (found,) = with_offsets_in_graph(tokenizer, [text])
    assert [*zip(*found[1:], strict=True)] == spans


def test_places_have_the_form_of_the_ids():
    import tensorflow as tf

    tokenizer = ConvBertTokenizer(WORDS, sequence_length=3)
    nested = [["a b", "cafes"], ["", "open a b a"]]
    wanted = [
        [[[10, 11, 0], [5, 8, 0]], [[0, 0, 0], [7, 10, 11]]],
        [[[0, 2, 0], [0, 4, 0]], [[0, 0, 0], [0, 5, 7]]],
        [[[1, 3, 0], [4, 5, 0]], [[0, 0, 0], [4, 6, 8]]],
    ]
    found = tokenizer.tokenize_with_offsets(nested)
    in_a_graph = tf.function(tokenizer.tokenize_with_offsets)(nested)
    for one, other, want in zip(found, in_a_graph, wanted, strict=True):
        assert one.dtype == other.dtype.name == "int32"
        assert one.tolist() == other.numpy().tolist() == want
    strings = ConvBertTokenizer(WORDS, dtype="string")
    assert strings.tokenize_with_offsets(["cafes"]) == (
        [["cafe", "##s"]],
        [[0, 4]],
        [[4, 5]],
    )


@pytest.mark.parametrize("lowercase", [True, False], ids=["uncased", "cased"])
def test_special_tokens_in_strings(lowercase):
    tokenizer = ConvBertTokenizer(
        WORDS, lowercase=lowercase, special_tokens_in_strings=True
    )
    mask = tokenizer.mask_token_id
    assert list(tokenizer("a[MASK]b")) == [
        tokenizer.token_to_id(t) for t in ("a", "[MASK]", "b")
    ]
    parts = [*SPECIAL, "[mask]", "[MASK", "MASK]", "a", " ", "b", "."]
    generator = random.Random(0)
    texts = ["".join(generator.choices(parts, k=7)) for _ in range(500)]
    assert sum(mask in row for row in tokenizer(texts)) > 100
    check_all_ways(tokenizer, texts, reference(WORDS, texts, lowercase))
