import csv
import importlib
import json
import warnings

import click.testing
import keras
import numpy as np
import pytest

from keras_convbert.cli import main
from keras_convbert.data.documents import Corpus
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertPretrainer
from keras_convbert.models import ConvBertTextClassifier
from keras_convbert.recipes import PretrainingConfig
from keras_convbert.recipes import plan_pretraining
from keras_convbert.recipes import pretrain
from keras_convbert.recipes import step_time
from keras_convbert.recipes.pretraining_folder import PretrainingFolder
from keras_convbert.recipes.pretraining_model import make_pretrainer
from tests import forked
from tests.data import corpora
from tests.models.convbert import tiny

MODEL = {
    "num_layers": 1,
    "num_heads": 4,
    "hidden_dim": 16,
    "intermediate_dim": 32,
    "max_sequence_length": 16,
}
CONFIG = {
    "model": MODEL,
    "vocabulary_size": 30,
    "sequence_length": 16,
    "held_out": 0.1,
    "steps": 3,
    "batch_size": 24,
    "generator_scale": 0.5,
    "tensorboard": False,
    "workers": 1,
}


@pytest.fixture(autouse=True)
def _tiny_models(monkeypatch):
    compile = ConvBertPretrainer.compile

    def compile_cheaply(self, *args, **kwargs):
        compile(self, *args, run_eagerly=tiny.EAGERLY, **kwargs)

    monkeypatch.setattr(ConvBertPretrainer, "compile", compile_cheaply)
    monkeypatch.setattr(step_time, "TIMED_SECONDS", 0.0)
    monkeypatch.setattr(step_time, "STEPS", 1)
    monkeypatch.setattr(step_time, "MATRIX", 64)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text(corpora.text(documents=20), encoding="utf-8")
    return path


@pytest.fixture
def run(tmp_path, corpus):
    """The command, with its configuration in a file."""

    def run(*options, **config):
        file = tmp_path / "config.json"
        file.write_text(json.dumps({**CONFIG, **config}))
        arguments = ["pretrain", corpus, "--config", file]
        arguments += ["--output", tmp_path / "output", *options]
        return click.testing.CliRunner().invoke(
            main, [str(argument) for argument in arguments]
        )

    return run


def rows_of(path):
    with open(path, newline="") as file:
        return [*csv.DictReader(file)]


def weights_of(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.weights]


def assert_same(found, wanted):
    for one, other in zip(weights_of(found), weights_of(wanted), strict=True):
        np.testing.assert_array_equal(one, other)


def test_from_text_to_presets(run, tmp_path):
    result = run()
    assert result.exit_code == 0, result.output
    output = tmp_path / "output"
    rows = rows_of(output / "log.csv")
    manifest = json.loads((output / "sequences/manifest.json").read_text())
    batches = round(0.9 * manifest["rows"]) // 24
    assert [int(row["epoch"]) for row in rows] == [*range(-(-3 // batches))]
    assert len(rows) > 1
    assert all(float(row["val_rtd_loss"]) > 0 for row in rows)

    results = json.loads((output / "results.json").read_text())
    assert results["tokens"] == 3 * 24 * 16
    last = float(rows[-1]["val_mlm_loss"])
    assert results["held_out"]["mlm_loss"] == pytest.approx(last, rel=1e-5)
    assert f"held-out mlm_loss: {last:.4f}" in result.output

    pretrainer = ConvBertPretrainer.from_preset(str(output / "pretrainer"))
    backbone = ConvBertBackbone.from_preset(str(output / "backbone"))
    assert_same(backbone, pretrainer.backbone)
    assert backbone.count_params() == results["parameters"]
    inputs = tiny.sequences(length=16)
    inputs["token_ids"] %= backbone.vocabulary_size
    np.testing.assert_array_equal(
        *(
            keras.ops.convert_to_numpy(model(inputs)["sequence_output"])
            for model in (backbone, pretrainer.backbone)
        )
    )
    with pytest.warns(UserWarning, match="logits"):
        ConvBertTextClassifier.from_preset(
            str(output / "backbone"), num_classes=2
        )
    again = run()
    assert again.exit_code == 0
    assert "val_" not in again.output
    assert rows_of(output / "log.csv") == rows


@pytest.mark.long
def test_the_same_start_learns_the_same(corpus, tmp_path):
    folders = [tmp_path / name for name in "abc"]
    for folder, steps in zip(folders, (2, 2, 3), strict=True):
        pretrain(corpus, folder, {**CONFIG, "steps": steps}, verbose=0)
    one, same, other = (
        ConvBertBackbone.from_preset(str(folder / "backbone"))
        for folder in folders
    )
    assert_same(one, same)
    assert any(
        (a != b).any()
        for a, b in zip(weights_of(one), weights_of(other), strict=True)
    )


class Killed(RuntimeError):
    pass


def test_a_second_start_goes_on(corpus, tmp_path, monkeypatch):
    """Killed in its last epoch; the folder has what came before it."""
    module = importlib.import_module("keras_convbert.recipes.pretrain")
    begins = []

    class KilledOnce(module.StopAtStep):
        def on_epoch_begin(self, epoch, logs=None):
            super().on_epoch_begin(epoch, logs)
            begins.append(epoch)
            if len(begins) == 2:
                raise Killed("killed")

    monkeypatch.setattr(module, "StopAtStep", KilledOnce)
    output = tmp_path / "output"
    with pytest.raises(Killed):
        pretrain(corpus, output, CONFIG, verbose=0)
    assert not (output / "results.json").exists()
    sequences = output / "sequences"
    before = {p: p.stat().st_mtime_ns for p in sequences.iterdir()}
    vocabulary = (output / "vocabulary.txt").read_text()

    assert pretrain(corpus, output, CONFIG, verbose=0)["steps"] == 3
    rows = rows_of(output / "log.csv")
    assert [int(row["epoch"]) for row in rows] == [0, *begins[2:]]
    assert begins[:3] == [0, 1, 1]
    assert {p: p.stat().st_mtime_ns for p in sequences.iterdir()} == before
    assert (output / "vocabulary.txt").read_text() == vocabulary


@pytest.mark.once
@pytest.mark.long
def test_rows_of_json_lines_pretrain_as_text_does(corpus, tmp_path):
    rows = tmp_path / "corpus.jsonl"
    documents = corpus.read_text().split("\n\n")
    rows.write_text("".join(json.dumps({"body": d}) + "\n" for d in documents))
    with pytest.raises(ValueError, match=r"column 'text'.*\['body'\]"):
        pretrain(rows, tmp_path / "rows", CONFIG, verbose=0)
    assert not (tmp_path / "rows").exists()
    config = {**CONFIG, "steps": 1}
    wanted = pretrain(corpus, tmp_path / "text", config, verbose=0)
    config["column"] = "body"
    assert pretrain(rows, tmp_path / "rows", config, verbose=0) == wanted
    assert "corpus " in str(plan_pretraining(rows, config))


@pytest.mark.once
def test_a_folder_without_newer_settings_belongs_to_their_defaults(
    corpus, tmp_path
):
    config = PretrainingConfig.make(CONFIG)
    folder = PretrainingFolder(tmp_path / "output", config, Corpus(corpus))
    folder.begin()
    (folder.backup / "step-0000000001").mkdir(parents=True)
    file = tmp_path / "output/pretraining.json"
    record = json.loads(file.read_text())
    del record["config"]["column"]
    file.write_text(json.dumps(record))
    PretrainingFolder(tmp_path / "output", config, Corpus(corpus))
    other = PretrainingConfig.make({**CONFIG, "column": "body"})
    with pytest.raises(ValueError, match="column was 'text' and is 'body'"):
        PretrainingFolder(tmp_path / "output", other, Corpus(corpus))


@pytest.mark.once
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_folder_of_a_running_pretraining_is_refused_before_any_work(
    run, tmp_path
):
    output = tmp_path / "output"

    def hold():
        context = PretrainingFolder.locked(output)
        context.__enter__()
        return context

    with forked.holding(hold) as process:
        before = sorted(output.iterdir())
        result = run()
        assert result.exit_code == 1
        assert f"Process {process} writes there" in result.output
        assert sorted(output.iterdir()) == before


@pytest.mark.once
def test_leftovers_of_a_killed_pretraining_are_removed(corpus, tmp_path):
    output = tmp_path / "output"
    for name in (
        *(".lock", ".lock.owner", ".pretraining.json.tmp-abcdefgh.json"),
        *(".pretraining.json.lock", ".pretraining.json.lock.owner"),
    ):
        output.mkdir(exist_ok=True)
        (output / name).write_text("")
    config = PretrainingConfig.make(CONFIG)
    for resumed in (False, True):
        with PretrainingFolder.locked(output):
            if resumed:
                for name in ("sequences", "backbone", "pretrainer"):
                    (output / f".{name}.tmp-abcdefgh").mkdir()
                    (output / f".{name}.lock").write_text("")
                for name in ("vocabulary.txt", "results.json"):
                    (output / f".{name}.tmp-abcdefgh.x").write_text("")
                    (output / f".{name}.lock.owner").write_text("")
            PretrainingFolder(output, config, Corpus(corpus)).begin()
        assert [path.name for path in output.iterdir()] == ["pretraining.json"]


@pytest.mark.once
def test_another_pretraining_is_refused(run, corpus, tmp_path):
    folder = PretrainingFolder(
        tmp_path / "output", PretrainingConfig.make(CONFIG), Corpus(corpus)
    )
    folder.begin()
    (folder.backup / "step-0000000001").mkdir(parents=True)
    dry = run("--dry-run", batch_size=8)
    assert "batch_size was 24 and is 8" in dry.output.splitlines()[-1]
    result = run(batch_size=8, learning_rate=1e-3, save_every=5)
    assert result.exit_code == 1
    message = result.output.splitlines()[-1]
    assert "batch_size was 24 and is 8; learning_rate was 0.0003" in message
    assert "save_every" not in message
    corpus.write_text("Other text.\n")
    assert "with other text" in run().output
    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("kept")
    with pytest.raises(FileExistsError, match="Received: output="):
        pretrain(corpus, other, CONFIG)


@pytest.mark.once
def test_what_no_step_was_made_of_is_made_anew(corpus, tmp_path):
    """A batch larger than the corpus is found when that is prepared."""
    output = tmp_path / "output"
    with pytest.raises(ValueError, match="at least one batch"):
        pretrain(corpus, output, {**CONFIG, "batch_size": 10**5}, verbose=0)
    assert (output / "sequences").is_dir()
    assert pretrain(corpus, output, CONFIG, verbose=0)["steps"] == 3
    corpus.write_text("")
    for recipe in (plan_pretraining, lambda *a: pretrain(*a[:1], output, a[1])):
        with pytest.raises(ValueError, match="Expected text files"):
            recipe(corpus, CONFIG)


@pytest.mark.once
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"batchsize": 8}, "Did you mean 'batch_size'?"),
        ({"qqq": 8}, "Unknown key 'qqq' in the configuration. Expected"),
        ({"model": {**MODEL, "num_head": 2}}, "Did you mean 'num_heads'?"),
        ({"model": "convbert_large"}, "Received: model='convbert_large'"),
        ({"model": {"num_layers": 2}}, "the keys ['num_heads'"),
        ({"model": {**MODEL, "num_heads": 3}}, "multiple of `num_heads`"),
        ({"model": {**MODEL, "num_layers": 0}}, "num_layers"),
        ({"generator_scale": 0.8}, "Received: generator_scale=0.8"),
        ({"steps": "many"}, "Expected `steps` to be int. Received: steps="),
        ({"steps": True}, "Received: steps=True"),
        ({"batch_size": 0}, "`batch_size` to be at least 1"),
        ({"held_out": 0.9}, "at most 0.5. Received: held_out=0.9"),
        ({"warmup_steps": 3}, "warmup_steps=3, steps=3"),
        ({"dtype": "float8"}, "Received: dtype='float8'"),
        (
            {"sequence_length": 17},
            "of `model`, 16. Received: sequence_length=17",
        ),
        ({"mask_rate": 1.5}, "mask_rate=1.5"),
        ({"vocabulary": "no.txt"}, "either `vocabulary` or `vocabulary_size`"),
    ],
    ids=str,
)
def test_errors_come_before_any_file(config, message, run, tmp_path):
    for options in ([], ["--dry-run"]):
        result = run(*options, **config)
        assert result.exit_code == 1, result.output
        assert message in result.output.splitlines()[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json",
        "corpus.txt",
    ]


@pytest.mark.once
def test_files_that_cannot_be_read(corpus, tmp_path):
    for name, text, message in (
        ("config.yaml", "", "ends in .json or .toml"),
        ("config.json", "{", "Cannot read"),
        ("config.toml", "a", "Cannot read"),
        ("list.json", "[1]", r"Received: \[1\]"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=message):
            pretrain(corpus, tmp_path / "output", tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"missing.txt"):
        pretrain(tmp_path / "missing.txt", tmp_path / "output", CONFIG)
    with pytest.raises(FileNotFoundError, match=r"token per line. Received"):
        pretrain(corpus, tmp_path / "output", {"vocabulary": "no.txt"})
    assert not (tmp_path / "output").exists()


def test_toml_mixed_precision_and_a_vocabulary(corpus, tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(corpora.TOKENS) + "\n")
    config = tmp_path / "config.toml"
    config.write_text(
        'vocabulary = "words.txt"\ndtype = "mixed_bfloat16"\nsteps = 2\n'
        "held_out = 0\nbatch_size = 16\nsequence_length = 16\n"
        "generator_scale = 0.5\ntensorboard = false\n[model]\n"
        'preset = "convbert_small"\nnum_layers = 1\nhidden_dim = 16\n'
        "intermediate_dim = 32\n"
    )
    results = pretrain(corpus, tmp_path / "output", config, verbose=0)
    assert "held_out" not in results
    backbone = ConvBertBackbone.from_preset(
        str(tmp_path / "output" / "backbone"), dtype="mixed_bfloat16"
    )
    assert backbone.vocabulary_size == len(corpora.TOKENS)
    assert backbone.embedding_dim == 128
    inputs = tiny.sequences(length=16)
    inputs["token_ids"] %= len(corpora.TOKENS)
    outputs = backbone(inputs)["sequence_output"]
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.once
def test_a_dry_run_writes_nothing(run, tmp_path):
    before = sorted(tmp_path.iterdir())
    result = run("--dry-run")
    assert result.exit_code == 0, result.output
    written = {path.name for path in set(tmp_path.iterdir()) - {*before}}
    assert written == {"config.json"}
    words = ("at most", "parameters", "FLOPs", "memory", "time", "generator/")
    for word in words:
        assert word in result.output


@pytest.mark.once
def test_the_plan_is_of_the_model_that_is_trained(corpus, tmp_path):
    plan = plan_pretraining(corpus, CONFIG)
    config = PretrainingConfig.make(CONFIG)
    tokenizer = corpora.tokenizer()
    pretrainer = make_pretrainer(config, tokenizer, 30)
    assert plan.cost.parameters == pretrainer.count_params()
    assert plan.backbone_parameters == pretrainer.backbone.count_params()
    assert plan.tokens == 3 * 24 * 16
    assert plan.seconds == 3 * plan.time.seconds > 0


@pytest.mark.once
def test_defaults_are_the_papers():
    base = PretrainingConfig.make({"model": "convbert_base"})
    assert (base.batch_size, base.learning_rate) == (256, 2e-4)
    assert round(768 * base.generator_scale) == 256
    assert (base.steps, base.warmup_steps) == (1_000_000, 10_000)
    given = {"preset": "convbert_medium_small", "conv": False}
    other = PretrainingConfig.make(
        {"model": given, "steps": 100, "batch_size": 4}
    )
    assert (other.batch_size, other.learning_rate) == (4, 5e-4)
    assert other.warmup_steps == 10
    assert other.backbone_arguments()["hidden_dim"] == 384
    assert PretrainingConfig.make(None) == PretrainingConfig()
    assert PretrainingConfig.make(other) is other


def test_steps_are_compiled_where_asked(monkeypatch):
    monkeypatch.undo()
    by_itself = keras.backend.backend() == "jax"
    for asked, wanted in ((None, by_itself), (True, True), (False, False)):
        config = PretrainingConfig.make({**CONFIG, "jit_compile": asked})
        pretrainer = make_pretrainer(config, corpora.tokenizer(), 30)
        assert pretrainer.jit_compile == wanted


@pytest.mark.once
@pytest.mark.parametrize("installed", [True, False])
def test_tensorboard_is_used_or_said_to_be_missing(
    installed, corpus, tmp_path, monkeypatch
):
    module = importlib.import_module("keras_convbert.recipes.pretrain")
    monkeypatch.setattr(module, "_is_installed", lambda package: installed)
    config = PretrainingConfig.make({**CONFIG, "tensorboard": True})
    folder = PretrainingFolder(tmp_path / "output", config, Corpus(corpus))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        callbacks = module._callbacks(config, folder)
    kinds = [type(callback) for callback in callbacks]
    assert (keras.callbacks.TensorBoard in kinds) == installed
    assert ["no logs are written" in str(w.message) for w in caught] == (
        [] if installed else [True]
    )
