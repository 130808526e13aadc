import copy
import json
import pickle
import pydoc_data.topics
import random
import unicodedata

import keras
import numpy as np
import pytest
import tokenizers

from keras_convbert.models import ConvBertTokenizer

once = pytest.mark.once

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, "cafe", "Cafe", "open", "##s", ".", "a", "b", "##b"]
WORDS += ["[", "]", "mask", "MASK"]
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
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


def in_graph(tokenizer, texts):
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(texts).batch(512)
    return [row for rows in dataset.map(tokenizer) for row in rows.to_list()]


def differences(found, wanted):
    assert len(found) == len(wanted)
    return sum(list(a) != list(b) for a, b in zip(found, wanted, strict=True))


CASES = [
    pytest.param(True, None, id="uncased"),
    pytest.param(False, None, id="cased"),
    pytest.param(True, False, id="uncased-accents"),
    pytest.param(False, True, id="cased-stripped"),
]


@once
@pytest.mark.parametrize("lowercase, strip_accents", CASES)
def test_natural_text_gets_the_ids_of_bert(
    natural_text, natural_vocabulary, lowercase, strip_accents
):
    options = {"lowercase": lowercase, "strip_accents": strip_accents}
    texts = natural_text[::4] + SENTENCES
    assert not [t for t in texts if any(token in t for token in SPECIAL)]
    tokenizer = ConvBertTokenizer(natural_vocabulary, **options)
    found = tokenizer(texts)
    wanted = reference(natural_vocabulary, texts, **options)
    assert differences(found, wanted) == 0
    assert differences(in_graph(tokenizer, texts), wanted) == 0
    # Few are unknown, so that equal ids say something.
    flat = np.concatenate(wanted)
    assert np.mean(flat == 1) < 0.02


@once
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
    found = tokenizer(texts)
    wanted = reference(vocabulary, texts, lowercase)
    assert differences(found, wanted) == 0
    assert differences(in_graph(tokenizer, texts), found) == 0
    assert np.mean(np.concatenate(wanted) == 1) < 0.2


@once
@pytest.mark.parametrize("lowercase", [True, False], ids=["uncased", "cased"])
def test_noise_over_all_code_points_gets_the_ids_of_bert(lowercase):
    generator = random.Random(1)
    codepoints = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
    characters = [chr(c) for c in generator.sample(codepoints, 5000)]
    texts = noise(generator, characters)
    vocabulary = noise_vocabulary(characters)
    tokenizer = ConvBertTokenizer(vocabulary, lowercase=lowercase)
    found = tokenizer(texts)
    wanted = reference(vocabulary, texts, lowercase)
    assert differences(found, wanted) <= 0.001 * len(texts)
    assert differences(in_graph(tokenizer, texts), found) == 0


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


@once
@pytest.mark.parametrize("special", [False, True])
def test_graph_treats_nul_and_broken_utf8_as_python_does(special):
    generator = random.Random(2)
    texts = [broken_bytes(generator) for _ in range(5000)]
    tokenizer = ConvBertTokenizer(
        noise_vocabulary("abe中😀[]mask"), special_tokens_in_strings=special
    )
    assert differences(in_graph(tokenizer, texts), tokenizer(texts)) == 0


@once
@pytest.mark.parametrize(
    "text, tokens",
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


@once
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
    found = tokenizer(texts)
    assert sum(mask in row for row in found) > 100
    assert differences(found, reference(WORDS, texts, lowercase)) == 0
    assert differences(in_graph(tokenizer, texts), found) == 0


INPUTS = [
    pytest.param("a b", [10, 11], id="string"),
    pytest.param("", [], id="empty-string"),
    pytest.param(["a b", "a", ""], [[10, 11], [10], []], id="list"),
    pytest.param(("a", "b"), [[10], [11]], id="tuple"),
    pytest.param([], [], id="empty-list"),
    pytest.param(
        [["a", "b"], ["a b", ""]], [[[10], [11]], [[10, 11], []]], id="nested"
    ),
    pytest.param(
        [["a"], ["a b", "b"]], [[[10]], [[10, 11], [11]]], id="ragged"
    ),
    pytest.param([[["a", "b"]]], [[[[10], [11]]]], id="rank-3"),
]


def as_lists(outputs):
    if isinstance(outputs, list):
        return [as_lists(row) for row in outputs]
    if hasattr(outputs, "to_list"):
        return outputs.to_list()
    return np.asarray(outputs).tolist()


def padded(ids, length=2):
    if ids and isinstance(ids[0], list):
        return [padded(row) for row in ids]
    return (ids + [0] * length)[:length]


@once
@pytest.mark.parametrize("text, ids", INPUTS)
def test_forms_of_inputs(text, ids):
    import tensorflow as tf

    tokenizer = ConvBertTokenizer(WORDS)
    dense = ConvBertTokenizer(WORDS, sequence_length=2)
    forms = [text]
    if text == []:
        forms = [[], np.array([], "object"), tf.zeros((0,), tf.string)]
    elif ids == [[[10]], [[10, 11], [11]]]:
        forms.append(tf.ragged.constant(text))
    else:
        forms += [np.array(text), np.array(text, "object"), tf.constant(text)]
    for form in forms:
        assert as_lists(tokenizer(form)) == ids
        if text != []:
            assert as_lists(dense(form)) == padded(ids)
    graph_input = forms[-1] if len(forms) > 1 else text
    assert as_lists(tf.function(tokenizer)(graph_input)) == ids
    if text == []:
        assert tf.function(dense)(graph_input).shape == (0, 2)
        assert dense(text).shape == (0, 2)
    else:
        assert as_lists(tf.function(dense)(graph_input)) == padded(ids)


@once
def test_padding_is_the_padding_token():
    vocabulary = ["a", *SPECIAL]
    tokenizer = ConvBertTokenizer(vocabulary, sequence_length=3)
    assert tokenizer("a").tolist() == [0, 1, 1]
    import tensorflow as tf

    assert tf.function(tokenizer)(tf.constant("a")).numpy().tolist() == [
        0,
        1,
        1,
    ]


@once
def test_strings_and_other_integers_as_output():
    assert ConvBertTokenizer(WORDS, dtype="string")(["a b", "cafes"]) == [
        ["a", "b"],
        ["cafe", "##s"],
    ]
    cut = ConvBertTokenizer(WORDS, dtype="string", sequence_length=2)
    assert cut(["a", "a b a"]) == [["a", ""], ["a", "b"]]
    assert in_graph_dense(cut, ["a"]) == [[b"a", b""]]
    wide = ConvBertTokenizer(WORDS, dtype="int64")
    assert wide("a b").dtype == "int64"
    with pytest.raises(ValueError, match="dtype=float32"):
        ConvBertTokenizer(WORDS, dtype="float32")


def in_graph_dense(tokenizer, texts):
    import tensorflow as tf

    return tf.function(tokenizer)(tf.constant(texts)).numpy().tolist()


@once
@pytest.mark.parametrize(
    "wrong, message",
    [
        pytest.param(None, "Received: None", id="none"),
        pytest.param(5, "Received: 5", id="number"),
        pytest.param([1], r"must be strings. Received: \[1\]", id="numbers"),
        pytest.param(["a", None], r"Received: \['a', None\]", id="list"),
        pytest.param("a\ud800", r"surrogates. Received: 'a\\ud800'", id="half"),
        pytest.param(["b", "\udfff"], r"Received: '\\udfff'", id="halves"),
    ],
)
def test_what_is_no_text_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ConvBertTokenizer(WORDS)(wrong)


@once
def test_graph_refuses_what_is_no_text():
    import tensorflow as tf

    tokenizer = ConvBertTokenizer(WORDS)
    with pytest.raises(ValueError, match="Expected strings"):
        tf.function(tokenizer)(tf.constant([1]))


@once
def test_long_texts():
    tokenizer = ConvBertTokenizer(WORDS)
    word, words = "a" * 2**20, "a b " * 2**18
    assert tokenizer(word).tolist() == [1]
    assert tokenizer(words).tolist() == [10, 11] * 2**18
    assert in_graph(tokenizer, [word, words]) == [[1], [10, 11] * 2**18]


@once
def test_without_a_vocabulary_it_says_so(tmp_path):
    tokenizer = ConvBertTokenizer()
    for use in (
        lambda: tokenizer("a"),
        lambda: tokenizer.detokenize([1]),
        lambda: tokenizer.vocabulary_size(),
        lambda: tokenizer.save_assets(str(tmp_path)),
    ):
        with pytest.raises(ValueError, match="No vocabulary has been set"):
            use()


@once
def test_tokens_and_ids():
    tokenizer = ConvBertTokenizer(WORDS)
    assert tokenizer.get_vocabulary() == WORDS
    assert tokenizer.vocabulary_size() == len(WORDS)
    assert tokenizer.id_to_token(8) == "##s"
    assert tokenizer.token_to_id("##s") == 8
    assert (tokenizer.pad_token_id, tokenizer.unk_token) == (0, "[UNK]")
    assert (tokenizer.cls_token_id, tokenizer.start_token_id) == (2, 2)
    assert (tokenizer.sep_token_id, tokenizer.end_token_id) == (3, 3)
    assert tokenizer.mask_token_id == 4
    with pytest.raises(ValueError, match=r"in range \[0, 16\].*Received: 17"):
        tokenizer.id_to_token(17)
    with pytest.raises(ValueError, match="'zebra' is not in the vocabulary"):
        tokenizer.token_to_id("zebra")


@once
def test_detokenize_joins_pieces():
    tokenizer = ConvBertTokenizer(WORDS)
    assert tokenizer.detokenize([5, 7, 8, 9]) == "cafe opens ."
    assert tokenizer.detokenize([[7], [8, 12]]) == ["open", "##sb"]
    assert tokenizer.detokenize(np.array([[10, 12]])) == ["ab"]
    assert tokenizer.detokenize([]) == ""
    with pytest.raises(ValueError, match="Received: 99"):
        tokenizer.detokenize([99])


@once
def test_detokenize_is_the_decoder_of_word_pieces():
    import tensorflow as tf

    peer = tokenizers.decoders.WordPiece(prefix="##", cleanup=False)
    generator = np.random.default_rng(0)
    ids = generator.integers(len(WORDS), size=(300, 6))
    wanted = [peer.decode([WORDS[i] for i in row]) for row in ids]
    tokenizer = ConvBertTokenizer(WORDS)
    assert tokenizer.detokenize(ids) == wanted
    in_graph = tf.function(tokenizer.detokenize)(tf.constant(ids, "int32"))
    assert [text.decode() for text in in_graph.numpy()] == wanted


@once
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lowercase": False, "special_tokens_in_strings": True},
        {"strip_accents": False, "sequence_length": 4, "dtype": "string"},
    ],
    ids=["default", "cased", "strings"],
)
def test_config_round_trip(options):
    tokenizer = ConvBertTokenizer(WORDS, name="words", **options)
    config = tokenizer.get_config()
    revived = ConvBertTokenizer.from_config(json.loads(json.dumps(config)))
    assert revived.get_config() == config
    assert config["vocabulary"] is None
    for name, value in options.items():
        found = config["dtype"]["config"]["name"] if name == "dtype" else None
        assert (found or config[name]) == value
    revived.set_vocabulary(WORDS)
    texts = ["Café [MASK] Opens.", "a"]
    assert as_lists(revived(texts)) == as_lists(tokenizer(texts))


@once
@pytest.mark.parametrize(
    "clone",
    [
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(lambda t: pickle.loads(pickle.dumps(t)), id="pickle"),
    ],
)
def test_copies_are_whole(clone):
    tokenizer = ConvBertTokenizer(WORDS, special_tokens_in_strings=True)
    texts = ["Cafés [MASK]", "abb"]
    copied = clone(tokenizer)
    assert copied(texts) == tokenizer(texts)
    assert in_graph(copied, texts) == tokenizer(texts)


@once
def test_config_cannot_name_a_file(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(WORDS))
    config = {**ConvBertTokenizer(WORDS).get_config(), "vocabulary": str(path)}
    with pytest.raises(ValueError, match="without the path of a vocabulary"):
        ConvBertTokenizer.from_config(config)
    # Whoever holds the path may pass it.
    assert ConvBertTokenizer(path).get_vocabulary() == WORDS
    assert ConvBertTokenizer(str(path)).get_vocabulary() == WORDS


def test_ids_are_the_same_on_every_backend():
    tokenizer = ConvBertTokenizer(WORDS)
    assert tokenizer(["Café opens.", "abb"]) == [[5, 7, 8, 9], [10, 12, 12]]
    assert tokenizer("abb").tolist() == [10, 12, 12]
    assert in_graph(tokenizer, ["abb"]) == [[10, 12, 12]]
    assert tokenizer.detokenize(tokenizer("Café opens.")) == "cafe opens ."
    tensor = keras.ops.convert_to_tensor([5, 7, 8])
    assert tokenizer.detokenize(tensor) == "cafe opens"
