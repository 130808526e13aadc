"""Requests over the limits of a servable, and the memory of large ones."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_convbert.export import export_saved_model
from keras_convbert.export.request_limits import MAX_VALUES
from keras_convbert.export.request_limits import RequestLimits
from tests.export import tiny
from tests.export.test_saved_model import answers

TEXT_SIGNATURES = [
    ("classifier", "text", ["text"]),
    ("classifier", "text_pair", ["text", "text_pair"]),
    ("embedder", "text", ["text"]),
    ("tagger", "tokens", ["text"]),
    ("answerer", "question_answer", ["question", "context"]),
]
MIB = 2**20
# Each request is of about 1 MB.
LARGE_REQUESTS = """
import json, resource, sys
import numpy as np
import tensorflow as tf
import tensorflow_text

TEXTS = [
    [b"!" * 1_000_000],
    [b"good film bad " * 70] * 1000,
    [b"a"] * 250_000,
]
IDS = [(1, 80_000), (5_000, 16), (1_000, 16)]


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def requests(signature, names):
    if signature != "serving_default":
        for texts in TEXTS:
            yield dict.fromkeys(names, tf.constant(texts))
        return
    for shape in IDS:
        ids = tf.ones(shape, "int32")
        yield dict.fromkeys(names, tf.minimum(ids, 1))
    if "mask_positions" in names:
        ids = tf.ones((1, 16), "int32")
        yield {
            **dict.fromkeys(names, ids),
            "mask_positions": tf.zeros((1, 250_000), "int32"),
        }


loaded = [(path, tf.saved_model.load(path)) for path in sys.argv[1:]]
found = {}
for path, served in loaded:
    for signature, serve in served.signatures.items():
        names = [*serve.structured_input_signature[1]]
        before, told = peak(), []
        for request in requests(signature, names):
            try:
                serve(**request)
                told.append("")
            except tf.errors.InvalidArgumentError as error:
                told.append(str(error))
        found[f"{path.split('/')[-2]} {signature}"] = [peak() - before, told]
print(json.dumps(found))
"""
pytestmark = pytest.mark.once


@pytest.mark.parametrize(("name", "signature", "names"), TEXT_SIGNATURES)
def test_texts_over_a_limit_are_refused_by_name(name, signature, names, served):
    folder = served(name)[1]
    windowed = signature in ("tokens", "question_answer")
    refused = [
        (["a"] * 1025, f"at most 1024 rows in `{names[0]}`.*1025"),
        (
            ["a" * (MIB + 1)],
            f"at most {MIB} bytes per string of `{names[0]}`.*{MIB + 1}",
        ),
    ]
    if windowed:
        refused.append((["a", "good " * 6_000], r"at most 1024 windows.*\d{4}"))
    short = {key: ["good film", ""] for key in names}
    before = answers(folder, signature, **short)
    for texts, message in refused:
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=f"(?s)Expected.*{message}"
        ):
            answers(folder, signature, **dict.fromkeys(names, texts))
    for key, value in answers(folder, signature, **short).items():
        np.testing.assert_array_equal(value, before[key])
    largest = [["a"] * 1024, ["a" * MIB]]
    for texts in largest:
        found = answers(folder, signature, **dict.fromkeys(names, texts))
        assert {len(value) for value in found.values()} == {len(texts)}


def test_ids_over_a_limit_are_refused_by_name(served):
    model, folder = served("masked_lm")
    inputs = tiny.token_ids(model, (1025, 2))
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"at most 1024 rows .*1025"
    ):
        answers(folder, **inputs)
    inputs = tiny.token_ids(model, (1, 2))
    limit = MAX_VALUES // 15
    inputs["mask_positions"] = np.zeros((1, limit + 1), "int32")
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=f"at most {limit} values in `mask_positions`.*{limit + 1}",
    ):
        answers(folder, **inputs)


def test_texts_of_very_different_numbers_of_words_are_refused():
    counts = tf.constant([9000] + [1] * 1000, "int64")
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="at most 8388608 words"
    ):
        RequestLimits().check_words(counts)
    assert RequestLimits().check_words(counts[1:]).shape == (1000,)
    assert RequestLimits().check_words(counts[:0]).shape == (0,)


def test_limits_of_an_export(tmp_path):
    limits = {"max_rows": 2, "max_text_bytes": 24, "max_windows": 2}
    # Its own warmup texts are cut to the limits.
    own = tmp_path / "own"
    export_saved_model(tiny.tagger(), own, verbose=False, **limits)
    with pytest.raises(ValueError, match=r"(?s)`warmup` texts.*24 bytes"):
        export_saved_model(
            tiny.tagger(), tmp_path, verbose=False, warmup=["a" * 25], **limits
        )
    path = export_saved_model(
        tiny.tagger(),
        tmp_path,
        verbose=False,
        warmup=["good", "bad", "a"],
        **limits,
    )
    page = (path / "README.md").read_text(encoding="utf-8")
    assert "at most 2 rows, a text at most 24\nbytes" in page
    folder = tf.saved_model.load(path)
    answers(folder, "tokens", text=["a " * 12, "film"])
    for texts, message in [
        (["a"] * 3, "at most 2 rows"),
        (["a" * 25], "at most 24 bytes"),
        (["!" * 24], "at most 2 windows"),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            answers(folder, "tokens", text=texts)


@pytest.mark.parametrize("name", RequestLimits._fields)
@pytest.mark.parametrize("value", [0, 1.5, True, None])
def test_a_limit_that_is_no_positive_integer(name, value, tmp_path):
    with pytest.raises(ValueError, match=f"Received: {name}={value!r}"):
        export_saved_model(tiny.backbone(), tmp_path, **{name: value})


def test_large_requests_take_little_memory(exported):
    names = ["classifier", "tagger", "answerer", "embedder", "masked_lm"]
    paths = [str(exported(name)[1]) for name in names]
    process = subprocess.run(
        [sys.executable, "-c", LARGE_REQUESTS, *paths],
        stdout=subprocess.PIPE,
        text=True,
        cwd=pathlib.Path(__file__).parents[2],
        check=True,
    )
    found = json.loads(process.stdout)
    assert len(found) == 10
    for signature, (mebibytes, told) in found.items():
        assert mebibytes < 300, (signature, mebibytes)
        assert all("Expected" in error for error in told if error), told
        assert "" in told, signature
