"""Text embedders, against what sentence-transformers computes."""

import json
import shutil

import keras
import numpy as np
import pytest
import torch

from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.models import ConvBertTextEmbedder
from keras_convbert.models import ConvBertTextEmbedderPreprocessor
from keras_convbert.models import ConvBertTokenizer
from keras_convbert.recipes.sources import class_in
from keras_convbert.recipes.sources import open_preset
from tests.models.convbert import tasks
from tests.models.convbert import texts
from tests.models.convbert.transformers import transformers_models as theirs

NEAR = {"atol": 1e-5, "rtol": 1e-5}
LENGTH = 8
# The first is truncated, so that both libraries pad the others to LENGTH.
X = ["a b c d e f g h i j", "k l", "A", ""]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    model = theirs.make(
        vocab_size=len(texts.VOCABULARY),
        num_hidden_layers=1,
        hidden_size=8,
        intermediate_size=16,
        num_attention_heads=2,
    )
    theirs.save(model, folder, tokenizer=True)
    return str(folder)


def save_theirs(encoder, folder, pooling, dense=None, normalize=False):
    """A folder as the installed library writes it, and its vectors."""
    import sentence_transformers
    from sentence_transformers.sentence_transformer import modules as models

    parts = [
        models.Transformer(encoder, max_seq_length=LENGTH),
        models.Pooling(8, pooling_mode=pooling),
    ]
    if dense:
        torch.manual_seed(0)
        parts.append(models.Dense(8, 5, **dense))
    if normalize:
        parts.append(models.Normalize())
    model = sentence_transformers.SentenceTransformer(
        modules=parts, device="cpu"
    )
    model.save(str(folder))
    return model.encode(X)


def read(path):
    return json.loads(path.read_text())


def change(path, **changes):
    content = read(path) if path.exists() else {}
    path.write_text(json.dumps({**content, **changes}))


def in_the_first_form(folder):
    """Rewrites a folder as releases before 2.3 wrote it."""
    encoder = folder / "0_Transformer"
    encoder.mkdir()
    for path in [*folder.iterdir()]:
        ours = "modules", "config_sentence_transformers"
        if path.is_file() and path.stem not in ours:
            shutil.move(path, encoder / path.name)
    (folder / "config.json").write_text('{"__version__": "0.3.8"}')
    (encoder / "sentence_bert_config.json").write_text(
        json.dumps({"max_seq_length": LENGTH, "do_lower_case": False})
    )
    change(encoder / "tokenizer_config.json", model_max_length=512)
    modules = read(folder / "modules.json")
    for module in modules:
        kind = module["type"].rpartition(".")[-1]
        module["type"] = f"sentence_transformers.models.{kind}"
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    pooling = folder / "1_Pooling" / "config.json"
    mode = read(pooling)["pooling_mode"]
    flag = f"pooling_mode_{mode}_token{'' if mode == 'cls' else 's'}"
    flags = {
        f"pooling_mode_{name}": False
        for name in ("cls_token", "mean_tokens", "max_tokens")
    }
    pooling.write_text(
        json.dumps({"word_embedding_dimension": 8, **flags, flag: True})
    )
    dense = folder / "2_Dense"
    if dense.exists():
        from safetensors.torch import load_file

        arrays = load_file(dense / "model.safetensors")
        torch.save(arrays, dense / "pytorch_model.bin")
        (dense / "model.safetensors").unlink()


@pytest.mark.parametrize("form", ["first", "newest"])
@pytest.mark.parametrize(
    ("pooling", "dense", "normalize"),
    [
        ("mean", None, True),
        ("cls", {"activation_function": torch.nn.GELU()}, False),
        ("max", {"bias": False}, True),
    ],
)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_their_vectors_are_ours(
    pooling, dense, normalize, form, encoder, tmp_path
):
    wanted = save_theirs(encoder, tmp_path, pooling, dense, normalize)
    if form == "first":
        in_the_first_form(tmp_path)
    task = ConvBertTextEmbedder.from_preset(tmp_path)
    assert task.preprocessor.sequence_length == LENGTH
    np.testing.assert_allclose(task.predict(X, verbose=0), wanted, **NEAR)


@pytest.mark.parametrize("pooling", ["mean", "first", "max"])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_our_vectors_are_theirs(pooling, tmp_path):
    import sentence_transformers

    options = {}
    if pooling != "mean":
        options = {"projection_dim": 3, "projection_activation": "tanh"}
    task = ConvBertTextEmbedder(
        tasks.backbone(mask_conv=False),
        ConvBertTextEmbedderPreprocessor(texts.tokenizer(), LENGTH),
        pooling=pooling,
        normalize=pooling != "max",
        **options,
    )
    wanted = task.predict(X, verbose=0)
    task.export_to_transformers(tmp_path / "theirs")
    model = sentence_transformers.SentenceTransformer(
        str(tmp_path / "theirs"), device="cpu"
    )
    np.testing.assert_allclose(model.encode(X), wanted, **NEAR)
    if pooling != "first":
        return
    task.save(tmp_path / "task.keras")
    task.save_to_preset(tmp_path / "preset")
    for revived in (
        ConvBertTextEmbedder.from_preset(tmp_path / "theirs"),
        ConvBertTextEmbedder.from_preset(tmp_path / "preset"),
        keras.saving.load_model(tmp_path / "task.keras"),
    ):
        found = revived.predict(X, verbose=0)
        np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.fixture
def folder(encoder, tmp_path):
    """A folder with every module, written without the library."""
    tokenizer = ConvBertTokenizer.from_preset(encoder)
    task = ConvBertTextEmbedder(
        tasks.backbone(mask_conv=False),
        ConvBertTextEmbedderPreprocessor(tokenizer, LENGTH),
        projection_dim=3,
    )
    task.export_to_transformers(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.once
@pytest.mark.parametrize(
    ("file", "changes", "named"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "lasttoken"}, "lasttoken"),
        ("1_Pooling/config.json", {"pooling_mode": ["cls", "max"]}, "'max'"),
        (
            "1_Pooling/config.json",
            {"pooling_mode_weightedmean_tokens": True},
            "weightedmean",
        ),
        (
            "1_Pooling/config.json",
            {"word_embedding_dimension": 7},
            "word_embedding_dimension=7",
        ),
        ("2_Dense/config.json", {"activation_function": "my.Act"}, "my.Act"),
        ("2_Dense/config.json", {"use_residual": True}, "use_residual=True"),
        ("2_Dense/config.json", {"module_input_name": "x"}, "input_name='x'"),
        ("2_Dense/config.json", {"out_features": 4}, "another shape"),
        ("3_Normalize/config.json", {"module_output_name": "x"}, "name='x'"),
        ("sentence_bert_config.json", {"query_length": 3}, "query_length=3"),
        (
            "sentence_bert_config.json",
            {"processing_kwargs": {"text": 1}},
            "processing_kwargs",
        ),
        (
            "config_sentence_transformers.json",
            {"default_prompt_name": "q", "prompts": {"q": "a: "}},
            "'a: '",
        ),
        (
            "config_sentence_transformers.json",
            {"model_type": "SparseEncoder"},
            "SparseEncoder",
        ),
    ],
)
def test_settings_that_we_do_not_have_are_refused(file, changes, named, folder):
    change(folder / file, **changes)
    with pytest.raises(ValueError, match=named):
        ConvBertTextEmbedder.from_preset(folder)


@pytest.mark.once
@pytest.mark.parametrize(
    "file",
    [
        "1_Pooling/config.json",
        "2_Dense/config.json",
        "3_Normalize/config.json",
        "sentence_bert_config.json",
        "config_sentence_transformers.json",
    ],
)
def test_unknown_settings_are_named(file, folder):
    change(folder / file, invented=1)
    with pytest.warns(UserWarning, match=r"\['invented'\]"):
        ConvBertTextEmbedder.from_preset(folder)


@pytest.mark.once
@pytest.mark.parametrize("module", ["1_Pooling", "2_Dense"])
def test_a_missing_config_is_named(module, folder):
    (folder / module / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=module):
        ConvBertTextEmbedder.from_preset(folder)


@pytest.mark.once
def test_prompts_are_named(folder):
    file = folder / "config_sentence_transformers.json"
    change(file, prompts={"query": "find: ", "document": ""})
    with pytest.warns(UserWarning, match="'find: '"):
        ConvBertTextEmbedder.from_preset(folder)


@pytest.mark.once
def test_other_modules_are_refused(folder):
    modules = read(folder / "modules.json")
    for changed in (
        modules[:1],
        [*modules[:2], modules[3], modules[2]],
        [*modules, {"type": "sentence_transformers.models.LSTM", "path": "x"}],
        [modules[0], {"type": "custom.Pooling", "path": "1_Pooling"}],
    ):
        (folder / "modules.json").write_text(json.dumps(changed))
        with pytest.raises(ValueError, match="the modules of a text embedder"):
            ConvBertTextEmbedder.from_preset(folder)


@pytest.mark.once
@pytest.mark.parametrize("path", ["../outside", "/etc", "a/b", "..", 3, None])
def test_folders_elsewhere_are_refused(path, folder):
    modules = read(folder / "modules.json")
    for i in range(len(modules)):
        changed = [dict(module) for module in modules]
        changed[i]["path"] = path
        (folder / "modules.json").write_text(json.dumps(changed))
        with pytest.raises(CheckpointError, match=r"elsewhere|each entry"):
            ConvBertTextEmbedder.from_preset(folder)


@pytest.mark.once
def test_links_out_of_a_module_are_refused(folder, tmp_path):
    for file in ("1_Pooling/config.json", "2_Dense/model.safetensors"):
        shutil.move(folder / file, tmp_path / "outside")
        (folder / file).symlink_to(tmp_path / "outside")
        with pytest.raises(CheckpointError, match="leads out"):
            ConvBertTextEmbedder.from_preset(folder)
        (folder / file).unlink()
        shutil.move(tmp_path / "outside", folder / file)


@pytest.mark.once
def test_arguments_replace_those_of_the_folder(folder):
    with pytest.warns(UserWarning, match="projection/kernel.* is new"):
        task = ConvBertTextEmbedder.from_preset(folder, projection_dim=4)
    assert task.predict(X, verbose=0).shape == (4, 4)
    task = ConvBertTextEmbedder.from_preset(
        folder, pooling="first", normalize=False, sequence_length=6
    )
    assert (task.pooling, task.normalize) == ("first", False)
    assert task.preprocessor.sequence_length == 6
    assert (
        ConvBertTextEmbedder.from_preset(folder, projection_dim=None).projection
        is None
    )
    empty = ConvBertTextEmbedder.from_preset(folder, load_weights=False)
    assert empty.projection_dim == 3


@pytest.mark.once
def test_other_tasks_take_the_encoder(folder):
    with pytest.warns(UserWarning, match="is new"):
        task = ConvBertTextClassifier.from_preset(folder, num_classes=2)
    assert task.preprocessor.sequence_length == 32
    assert class_in(open_preset(str(folder))) is ConvBertTextEmbedder


@pytest.mark.once
def test_lower_case_of_the_library_is_honored(folder):
    cased = ConvBertTokenizer(texts.VOCABULARY, lowercase=False)
    for name in ("vocab.txt", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    cased.export_to_transformers(folder.parent / "cased")
    for path in (folder.parent / "cased").iterdir():
        shutil.move(path, folder / path.name)
    change(folder / "sentence_bert_config.json", do_lower_case=True)
    task = ConvBertTextEmbedder.from_preset(folder)
    tokenizer = task.preprocessor.tokenizer
    assert (tokenizer.lowercase, tokenizer.strip_accents) == (True, False)


@pytest.mark.once
def test_embedders_that_the_library_cannot_open_are_refused(tmp_path):
    preprocessor = ConvBertTextEmbedderPreprocessor(texts.tokenizer(), LENGTH)
    for options, named in (
        ({"preprocessor": None}, "preprocessor=None"),
        (
            {"projection_dim": 2, "projection_activation": "elu"},
            "projection_activation='elu'",
        ),
    ):
        task = ConvBertTextEmbedder(
            tasks.backbone(mask_conv=False),
            **{"preprocessor": preprocessor, **options},
        )
        with pytest.raises(ValueError, match=named):
            task.export_to_transformers(tmp_path / "model")
        assert not (tmp_path / "model").exists()
    for options, named in (
        ({"projection_dim": 0}, "projection_dim=0"),
        ({"projection_activation": "relu"}, "projection_dim=None"),
    ):
        with pytest.raises(ValueError, match=named):
            ConvBertTextEmbedder(tasks.backbone(), **options)


@pytest.mark.once
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_handle_opens_from_the_cache_of_the_hub(
    encoder, tmp_path, monkeypatch
):
    import huggingface_hub

    cache = tmp_path / "hub"
    snapshot = cache / "models--user--small" / "snapshots" / "abc"
    wanted = save_theirs(encoder, snapshot, "cls", normalize=True)
    in_the_first_form(snapshot)
    (cache / "models--user--small" / "refs").mkdir()
    (cache / "models--user--small" / "refs" / "main").write_text("abc")
    download = huggingface_hub.hf_hub_download
    monkeypatch.setattr(
        huggingface_hub,
        "hf_hub_download",
        lambda **k: download(**k, local_files_only=True, cache_dir=cache),
    )
    task = ConvBertTextEmbedder.from_preset("hf://user/small")
    assert (task.pooling, task.normalize) == ("first", True)
    np.testing.assert_allclose(task.predict(X, verbose=0), wanted, **NEAR)
