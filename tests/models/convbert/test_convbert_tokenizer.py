import copy
import json
import pickle

import keras
import numpy as np
import pytest
import tokenizers

from keras_convbert.models import ConvBertTokenizer
from tests.models.convbert.texts import SPECIAL
from tests.models.convbert.texts import WORDS
from tests.models.convbert.texts import in_graph

once = pytest.mark.once


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
@pytest.mark.parametrize(("text", "ids"), INPUTS)
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
    ("wrong", "message"),
    [
        pytest.param(None, "Received: None", id="none"),
        pytest.param(5, "Received: 5", id="number"),
        pytest.param([1], r"must be strings. Received: \[1\]", id="numbers"),
        pytest.param(["a", None], r"Received: \['a', None\]", id="list"),
        pytest.param(
            "a\ud800", r"surrogates. Received: text='a\\ud800'", id="half"
        ),
        pytest.param(["b", "\udfff"], r"Received: text='\\udfff'", id="halves"),
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
    assert config["vocabulary"] == WORDS
    for name, value in options.items():
        found = config["dtype"]["config"]["name"] if name == "dtype" else None
        assert (found or config[name]) == value
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
