import json

import click.testing
import numpy as np
import pytest
import tensorflow as tf

from keras_convbert.cli import main
from tests.export import tiny
from tests.export.test_requests import warmup_requests

pytestmark = pytest.mark.once


def run(*arguments):
    runner = click.testing.CliRunner()
    return runner.invoke(main, [str(argument) for argument in arguments])


def test_a_file_becomes_a_servable(tmp_path):
    model = tiny.classifier()
    model.save(tmp_path / "model.keras")
    (tmp_path / "texts.txt").write_text("good\tbad film\n\nfilm\n")
    result = run(
        *("export", tmp_path / "model.keras", tmp_path / "sentiment"),
        *("--version", 3, "--signature", "text", "--dtype", "bfloat16"),
        *("--warmup", tmp_path / "texts.txt"),
        *(option for name in tiny.LABELS for option in ("--label", name)),
    )
    assert result.exit_code == 0, result.output
    path = tmp_path / "sentiment" / "3"
    assert result.output.splitlines()[-1] == f"Wrote {path}."
    serve = tf.saved_model.load(path).signatures["text"]
    found = serve(text=tf.constant(["a good film"]))
    wanted = model.predict(["a good film"], verbose=0)
    np.testing.assert_allclose(
        found["logits"],
        wanted,
        atol=0.05,  # the weights are stored in bfloat16: 8 bits of mantissa
    )
    assert found["label"].numpy()[0].decode() == tiny.LABELS[wanted.argmax()]
    asked = [
        tf.make_ndarray(request.inputs["text"]).tolist()
        for request in warmup_requests(path)
    ]
    assert asked == [[b"good"], [b"film"], [b"good", b"film"]]


@pytest.mark.long
def test_a_preset_becomes_onnx(tmp_path):
    import onnxruntime

    model = tiny.classifier()
    model.save_to_preset(tmp_path / "preset")
    target = tmp_path / "model.onnx"
    result = run("export", tmp_path / "preset", target, "--to", "onnx")
    assert result.exit_code == 0, result.output
    session = onnxruntime.InferenceSession(target)
    inputs = tiny.token_ids(model)
    (found,) = session.run(["logits"], inputs)
    np.testing.assert_allclose(found, model(inputs), atol=2e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "onnx", "--dtype", "int8"], "SavedModel options only with"),
        (["--to", "litert"], "ends in '.tflite'"),
        (["--signature", "tokens"], "'text', 'text_pair'"),
        (["--label", "one"], "each of the 3 classes"),
    ],
)
def test_what_does_not_go_together_is_one_line(options, message, tmp_path):
    tiny.classifier().save(tmp_path / "model.keras")
    target = tmp_path / "target"
    result = run("export", tmp_path / "model.keras", target, *options)
    assert result.exit_code == 1
    assert message in result.output.splitlines()[-1], json.dumps(result.output)
    assert not target.exists()
