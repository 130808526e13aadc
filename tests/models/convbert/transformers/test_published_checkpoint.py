"""The published ConvBERT opens in one line from a filled cache of the hub."""

import json

import pytest

from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTokenizer
from tests.models.convbert.transformers import transformers_models as theirs
from tests.text import test_published_vocabulary as published

pytestmark = pytest.mark.once
whole = published.whole

# As files of all releases of `transformers` have them.
TOKENIZER_CONFIGS = {
    "none": None,
    "2.x": {"do_lower_case": True, "max_len": 512, "init_inputs": []},
    "3.x": {"do_lower_case": True, "model_max_length": 512},
    "4.0": {
        **{"do_lower_case": True, "unk_token": "[UNK]", "sep_token": "[SEP]"},
        **{"pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"},
        **{"tokenize_chinese_chars": True, "strip_accents": None},
        **{"model_max_length": 512, "name_or_path": "a/b"},
        **{"do_basic_tokenize": True, "never_split": None},
        **{"special_tokens_map_file": None, "tokenizer_file": None},
        "tokenizer_class": "ConvBertTokenizer",
    },
    "4.50": {
        "added_tokens_decoder": {
            str(i): {
                **{"content": token, "lstrip": False, "normalized": False},
                **{"rstrip": False, "single_word": False, "special": True},
            }
            for i, token in enumerate(published.SPECIAL)
        },
        **{"clean_up_tokenization_spaces": True, "extra_special_tokens": {}},
        **{"do_lower_case": True, "model_max_length": 512},
        "tokenizer_class": "ConvBertTokenizer",
    },
    "5.x": {
        **{"backend": "tokenizers", "do_lower_case": True, "is_local": False},
        **{"model_max_length": 512, "strip_accents": None},
        **{"tokenize_chinese_chars": True, "cls_token": "[CLS]"},
        "tokenizer_class": "BertTokenizer",
    },
}


@pytest.fixture
def handle(tmp_path, monkeypatch):
    """A function that fills the cache of the hub with a ConvBERT."""
    import huggingface_hub

    cache = tmp_path / "hub"
    repository = cache / "models--YituTech--conv-bert-base"
    snapshot = repository / "snapshots" / "abc"
    download = huggingface_hub.hf_hub_download
    monkeypatch.setattr(
        huggingface_hub,
        "hf_hub_download",
        lambda **k: download(**k, local_files_only=True, cache_dir=cache),
    )

    def fill(lines, tokenizer_config):
        theirs.save(theirs.make(vocab_size=len(lines)), snapshot)
        config = json.loads((snapshot / "config.json").read_text())
        # The first files have neither a dtype nor a version.
        for key in ("dtype", "transformers_version", "classifier_dropout"):
            config.pop(key, None)
        config.update(architectures=["ConvBertModel"], pad_token_id=0)
        (snapshot / "config.json").write_text(json.dumps(config))
        published.write(snapshot, map(published.garble, lines))
        if tokenizer_config is not None:
            (snapshot / "tokenizer_config.json").write_text(
                json.dumps(tokenizer_config)
            )
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text("abc")
        return "hf://YituTech/conv-bert-base"

    return fill


@pytest.mark.parametrize("era", TOKENIZER_CONFIGS)
def test_tokenizer_opens_with_the_ids_of_the_whole_vocabulary(
    era, whole, handle, recwarn
):
    name = handle(whole, TOKENIZER_CONFIGS[era])
    tokenizer = ConvBertTokenizer.from_preset(name)
    (warning,) = (w for w in recwarn if w.category is UserWarning)
    assert "1900 of 1908 tokens are repaired" in str(warning.message)
    transformers = pytest.importorskip("transformers")
    peer = transformers.BertTokenizer(
        vocab={token: i for i, token in enumerate(whole)}
    )
    texts = [token for token in whole if token not in published.SPECIAL]
    ids = peer(texts, add_special_tokens=False)["input_ids"]
    assert [list(row) for row in tokenizer(texts)] == ids


def test_classifier_opens_in_one_line(whole, handle):
    name = handle(whole, TOKENIZER_CONFIGS["3.x"])
    with pytest.warns(UserWarning, match="is new|are repaired") as caught:
        task = ConvBertTextClassifier.from_preset(name, num_classes=2)
    assert len(caught) == 2
    assert task.predict(["это", "a"], verbose=0).shape == (2, 2)
