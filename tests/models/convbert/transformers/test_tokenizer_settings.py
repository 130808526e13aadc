"""Every setting of a Hugging Face tokenizer is honored or refused by name."""

import collections
import copy
import json
import warnings

import pytest
import tokenizers

from keras_convbert.models import ConvBertTokenizer
from keras_convbert.models.convbert.transformers.tokenizer_config import HONORED
from keras_convbert.models.convbert.transformers.tokenizer_config import IGNORED
from keras_convbert.models.convbert.transformers.tokenizer_config import (
    REQUIRED,
)
from tests.models.convbert.texts import WORDS
from tests.models.convbert.texts import in_graph

pytestmark = pytest.mark.once

ADDED = [
    {"content": "<loc>", "special": True, "normalized": False},
    {"content": "Open", "single_word": True, "rstrip": True},
    # In the vocabulary.
    {"content": "mask", "normalized": False},
]
CONFIG = "tokenizer_config.json"
VALUES = {
    "tokenizer_class": [
        *("BertTokenizerFast", "ElectraTokenizer", "XLMRobertaTokenizer"),
        *("PreTrainedTokenizerFast", "BertJapaneseTokenizer", "T5Tokenizer"),
    ],
    "additional_special_tokens": [["b"], ["<loc>"], ["[MASK]"]],
    "extra_special_tokens": [["b", "[SEP]"], {"image_token": "b"}],
    "never_split": [["ab"], ["[MASK]"]],
    "image_token": ["b"],
    "word_tokenizer_type": ["mecab", "basic"],
}
# Tokens, and ids of tokens, that stand for the others.
SOME = {"open", "[MASK]", "Open", "4", "20"}
LONGEST = 8
# Errors about tokens.
ALSO_NAMED = ("added tokens", "special token", "vocabulary")
# Texts that every setting of a tokenizer changes, without special tokens,
# which `transformers` matches and this library does not.
TEXTS = [
    *("Café opens.", "a <loc> b", "<LOC>", "open ab OPEN", "opened", "CAFES"),
    *(
        "a\u200bb",
        "a" + "b" * LONGEST,
        "abb",
        "中b",
        "maskb",
        "a\u0301",
        "mask",
    ),
    *(" a <loc>  b", "[", "x", "İ", "a open  b", "amask b", "é"),
]
TABLE = [pytest.param(True, id="uncased"), pytest.param(False, id="cased")]


def read(folder, name):
    return json.loads((folder / name).read_text("utf-8"))


def write(folder, name, content):
    (folder / name).write_text(json.dumps(content), "utf-8")


def export(folder, lowercase=True, **options):
    options = {"added_tokens": ADDED, **options}
    tokenizer = ConvBertTokenizer(
        [*WORDS, "中", "##中"], lowercase=lowercase, **options
    )
    tokenizer.export_to_transformers(folder)
    return tokenizer


def theirs(folder, texts=TEXTS):
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return tokenizer(texts, add_special_tokens=False)["input_ids"]


def ours(folder):
    tokenizer = ConvBertTokenizer.from_preset(folder)
    found = [list(ids) for ids in tokenizer(TEXTS)]
    return found


@pytest.mark.parametrize(
    "lowercase", [True, pytest.param(False, marks=pytest.mark.long)]
)
def test_added_tokens_come_back_from_each_file(lowercase, tmp_path):
    folder = tmp_path / "all"
    tokenizer = export(folder, lowercase)
    wanted = [list(ids) for ids in tokenizer(TEXTS)]
    assert ours(folder) == theirs(folder) == wanted
    assert in_graph(tokenizer, TEXTS) == wanted
    rust = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert [
        rust.encode(text, add_special_tokens=False).ids for text in TEXTS
    ] == wanted
    again = ConvBertTokenizer.from_preset(folder)
    assert {*again.added_tokens} == {*tokenizer.added_tokens}
    assert again.get_vocabulary() == tokenizer.get_vocabulary()
    # Each file alone says it all, but `added_tokens.json` knows no flags.
    whole = read(folder, "tokenizer.json")
    (folder / "tokenizer.json").unlink()
    assert ours(folder) == theirs(folder) == wanted
    (folder / "added_tokens.json").unlink()
    assert ours(folder) == theirs(folder) == wanted
    (folder / "tokenizer_config.json").unlink()
    (folder / "vocab.txt").unlink()
    write(folder, "tokenizer.json", whole)
    assert ours(folder) == wanted


def leaves(content, path=()):
    """The paths of all values in JSON, but of some tokens of many."""
    if isinstance(content, dict):
        for key, value in content.items():
            in_a_table = path[-1:] == ("vocab",) or key.isdecimal()
            if not in_a_table or key in SOME:
                yield from leaves(value, (*path, key))
    elif isinstance(content, list):
        for i, value in enumerate(content):
            if path != ("added_tokens",) or value["content"] in SOME:
                yield from leaves(value, (*path, i))
    if path:
        yield path


def get(content, path):
    for key in path:
        content = content[key]
    return content


def others(value):
    """Other values of a setting."""
    found = [None, not value, 3, "left"]
    if isinstance(value, list):
        found += [value[::-1], [*value, "<other>"], value[1:]]
    if isinstance(value, dict):
        found += [{**value, "surplus": True}]
    return [
        one for one in found if one != value or type(one) is not type(value)
    ]


def changed(content, path, value):
    content = copy.deepcopy(content)
    get(content, path[:-1])[path[-1]] = value
    return content


def check_refused_or_honored(folder, path, value, peer):
    """Asserts equal ids, or an error or a warning that names the setting."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = ours(folder)
        except (ValueError, FileNotFoundError) as error:
            message = str(error)
            # A token may be refused by its content or its id.
            named = [*path, *ALSO_NAMED, "surplus"]
            assert any(str(name) in message for name in named), (path, value)
            return "refused"
    try:
        wanted = peer()
    except Exception:
        return "broken"
    assert found == wanted, (path, value, [str(w.message) for w in caught])
    return "honored"


def test_every_value_of_tokenizer_json_is_honored_or_refused(tmp_path):
    folder = tmp_path / "tokenizer"
    export(folder, max_input_chars_per_word=LONGEST)
    # The others would contradict it.
    for name in ("vocab.txt", "tokenizer_config.json", "added_tokens.json"):
        (folder / name).unlink()
    whole = read(folder, "tokenizer.json")
    whole["truncation"] = {
        **{"direction": "Right", "max_length": 99, "stride": 0},
        "strategy": "LongestFirst",
    }
    whole["padding"] = {
        **{"strategy": {"Fixed": 2}, "direction": "Right", "pad_id": 0},
        **{"pad_to_multiple_of": None, "pad_type_id": 0, "pad_token": "[PAD]"},
    }
    counts = collections.Counter()

    def peer():
        # Preprocessors pad and truncate on their own.
        content = read(folder, "tokenizer.json")
        tokenizer = tokenizers.Tokenizer.from_str(
            json.dumps({**content, "truncation": None, "padding": None})
        )
        return [
            tokenizer.encode(text, add_special_tokens=False).ids
            for text in TEXTS
        ]

    for path in leaves(whole):
        for value in others(get(whole, path)):
            write(folder, "tokenizer.json", changed(whole, path, value))
            counts[check_refused_or_honored(folder, path, value, peer)] += 1
    assert counts["honored"] > 40
    assert counts["broken"] < 20


def test_every_value_of_tokenizer_config_is_honored_or_refused(tmp_path):
    folder = tmp_path / "tokenizer"
    export(folder)
    # It would contradict the config.
    (folder / "tokenizer.json").unlink()
    (folder / "added_tokens.json").unlink()
    config = read(folder, CONFIG)
    known = {*REQUIRED, *HONORED, *IGNORED, "strange", "image_token"}
    paths = [*leaves(config), *((key,) for key in sorted(known - {*config}))]
    counts = collections.Counter()
    for path in paths:
        found = get(config, path) if path[0] in config else None
        for value in [*others(found), *VALUES.get(path[-1], [])]:
            write(folder, CONFIG, changed(config, path, value))
            counts[
                check_refused_or_honored(
                    folder, path, value, lambda: theirs(folder)
                )
            ] += 1
    assert counts["honored"] > 40
    assert counts["broken"] < 60
