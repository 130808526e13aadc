"""The scripts under `examples/`, as a user runs them."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.long


def run(script, *arguments):
    left_out = ("OMP_NUM_THREADS", "XLA_FLAGS")
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *arguments],
        env={k: v for k, v in os.environ.items() if k not in left_out},
        capture_output=True,
        text=True,
    )


def test_layer_in_your_model():
    process = run("layer_in_your_model.py")
    assert process.returncode == 0, process.stdout + process.stderr


def test_pretrain(tmp_path):
    line = "The quick brown fox jumps over the lazy dog, again and again.\n"
    corpus, config = tmp_path / "corpus.txt", tmp_path / "config.json"
    corpus.write_text((line * 3 + "\n") * 50)
    sizes = {"num_layers": 1, "hidden_dim": 32, "intermediate_dim": 32}
    model = {"preset": "convbert_small", **sizes}
    settings = {
        "vocabulary_size": 60,
        "batch_size": 4,
        "steps": 4,
        "held_out": 0.1,
    }
    config.write_text(json.dumps({"model": model, **settings}))
    arguments = (str(corpus), "--config", str(config))
    process = run("pretrain.py", *arguments, "--dry-run")
    assert "activations" in process.stdout, process.stderr
    output = tmp_path / "output"
    process = run("pretrain.py", *arguments, "--output", str(output))
    assert "held out:" in process.stdout, process.stderr
    assert (output / "backbone" / "model.weights.h5").exists()


TAGGED = """-DOCSTART- -X- -X- O

Ann NNP I-NP I-PER
sings VBZ I-VP O
. . O O

Berlin NNP I-NP I-LOC
is VBZ I-VP O
"""


def test_ner(tmp_path):
    for name in ("eng.train", "eng.testa", "eng.testb"):
        (tmp_path / name).write_text(TAGGED * 10)
    output = tmp_path / "output"
    process = run(
        "ner.py",
        *("--data", str(tmp_path), "--output", str(output), "--epochs", "6"),
        *("--frozen-epochs", "1", "--unfreeze-epochs", "1"),
        *("--batch-size", "4", "--seeds", "2"),
        *("--learning-rate", "0.003"),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    results = json.loads((output / "results.json").read_text())
    assert [result["test"] for result in results] == [1.0, 1.0]
    assert (output / "predictions.txt").read_text().count("I-PER I-PER") == 10
    assert (output / "learning_curve.png").stat().st_size > 1000
    assert (output / "tagger" / "task.weights.h5").exists()
    assert (output / "best.weights.h5").exists()


@pytest.mark.parametrize(
    ("task", "head", "row"),
    [
        ("sst2", "sentence\tlabel\n", "{word} film\t{label}\n"),
        (
            "stsb",
            "sentence1\tsentence2\tscore\n",
            "{word} film\ta film\t{label}.5\n",
        ),
        (
            "mrpc",
            "Quality\t#1 String\t#2 String\n",
            "{label}\t{word} film\ta film\n",
        ),
    ],
)
def test_glue(task, head, row, tmp_path):
    rows = [
        row.format(word=word, label=label)
        for word, label in (("good", 1), ("bad", 0)) * 10
    ]
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / name).write_text(head + "".join(rows))
    output = tmp_path / "output"
    process = run(
        "glue.py",
        *("--task", task, "--data", str(tmp_path), "--output", str(output)),
        *("--epochs", "8", "--batch-size", "4", "--learning-rate", "0.001"),
        *("--sequence-length", "16", "--layer-decay", "1.0"),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    (result,) = json.loads((output / "results.json").read_text())
    metric = "spearman_correlation" if task == "stsb" else "accuracy"
    # So few samples teach a model from scratch little.
    assert 0 <= result[metric] <= 1
    assert len(result["curve"]) > 1
    lines = (output / "predictions.tsv").read_text().splitlines()
    assert len(lines) == 21
    assert lines[0] == "index\tprediction"
    assert (output / "classifier" / "task.weights.h5").exists()


@pytest.mark.parametrize("version", ["1.1", "2.0"])
def test_squad(version, tmp_path):
    context = "It rains. Ann sings."
    questions = [("who sings", [{"text": "Ann", "answer_start": 10}])] * 3
    if version == "2.0":
        questions.append(("what is blue", []))
    paragraph = {
        "context": context,
        "qas": [
            {"id": f"q{i}", "question": question, "answers": answers}
            for i, (question, answers) in enumerate(questions * 6)
        ],
    }
    content = {"data": [{"title": "t", "paragraphs": [paragraph]}]}
    for part in ("train", "dev"):
        path = tmp_path / f"{part}-v{version}.json"
        path.write_text(json.dumps(content))
    output = tmp_path / "output"
    options = ["--threshold", "0"] if version == "2.0" else ["--head", "joint"]
    process = run(
        "squad.py",
        *("--data", str(tmp_path), "--output", str(output), "--epochs", "12"),
        *("--batch-size", "4", "--learning-rate", "0.001"),
        *("--sequence-length", "96", *options),
    )
    assert process.returncode == 0, process.stdout + process.stderr
    (result,) = json.loads((output / "results.json").read_text())
    assert result["exact"] == result["f1"] == 100.0
    predictions = json.loads((output / "predictions.json").read_text())
    assert predictions["q0"] == "Ann"


def test_quickstart(tmp_path):
    process = run("quickstart.py", "--output", str(tmp_path / "output"))
    assert process.returncode == 0, process.stdout + process.stderr
    assert "difference: the SavedModel" in process.stdout
    assert (tmp_path / "output/saved_model/1/saved_model.pb").exists()


@pytest.mark.once
def test_quickstart_fails_if_labels_say_nothing(tmp_path):
    process = run(
        "quickstart.py",
        "--permute-labels",
        "--pretrain-only",
        *("--output", str(tmp_path / "output")),
    )
    assert process.returncode != 0
    assert "The model learned nothing" in process.stderr


@pytest.mark.once
def test_quickstart_takes_a_text(tmp_path):
    line = "The quick brown fox jumps over the lazy dog, again and again.\n"
    text = tmp_path / "text.txt"
    text.write_text((line * 3 + "\n") * 3000)
    process = run(
        "quickstart.py",
        *("--corpus", str(text), "--steps", "150", "--pretrain-only"),
        *("--output", str(tmp_path / "output")),
    )
    assert "held out:" in process.stdout, process.stderr
