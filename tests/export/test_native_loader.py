"""The loader of TensorFlow Serving, in C++, without Python."""

import importlib.util
import pathlib
import shutil
import struct
import subprocess

import filelock
import numpy as np
import pytest
import tensorflow as tf

from tests.export.test_saved_model import HOSTILE
from tests.export.test_texts import QUESTIONS
from tests.export.test_texts import TEXTS

COMPILER = shutil.which("g++")
TENSORFLOW = pathlib.Path(tf.__file__).parent
TEXT_LIBRARIES = [
    "_fast_wordpiece_tokenizer.so",
    "_regex_split_ops.so",
    "_trimmer_ops.so",
]
CALLS = {
    "classifier": {
        "text": {"text": TEXTS},
        "text_pair": {"text": TEXTS, "text_pair": QUESTIONS},
    },
    "tagger": {"tokens": {"text": TEXTS}},
    "answerer": {"question_answer": {"question": QUESTIONS, "context": TEXTS}},
    "joint_answerer": {
        "question_answer": {"question": QUESTIONS, "context": TEXTS}
    },
    "embedder": {"text": {"text": TEXTS}},
}
pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(COMPILER is None, reason="there is no g++"),
]


def build(program):
    subprocess.run(
        [
            COMPILER,
            "-std=c++17",
            "-O1",
            "-w",
            str(pathlib.Path(__file__).with_name("client.cc")),
            "-o",
            str(program),
            f"-I{TENSORFLOW / 'include'}",
            "-D_GLIBCXX_USE_CXX11_ABI=1",
            "-DEIGEN_MAX_ALIGN_BYTES=64",
            f"-L{TENSORFLOW}",
            # It has the sessions, though no symbol of it is asked for.
            "-Wl,--no-as-needed",
            "-l:libtensorflow_cc.so.2",
            "-l:libtensorflow_framework.so.2",
            f"-Wl,-rpath,{TENSORFLOW}",
            "-ldl",
        ],
        check=True,
    )


@pytest.fixture(scope="module")
def client(shared_folder, tmp_path_factory):
    program = shared_folder / "client"
    with filelock.FileLock(f"{program}.lock"):
        if not program.exists():
            build(program)
    folder = tmp_path_factory.mktemp("requests")
    asked, answered = folder / "asked", folder / "told"
    text = importlib.util.find_spec("tensorflow_text")
    places = pathlib.Path(text.submodule_search_locations[0]) / "python" / "ops"
    libraries = [str(places / name) for name in TEXT_LIBRARIES]

    def call(path, requests):
        """Answers, dicts of arrays or strings, to `(signature, inputs)`."""
        blobs = []
        for signature, inputs in requests:
            blobs += [signature.encode(), str(len(inputs)).encode()]
            for name, values in inputs.items():
                proto = tf.make_tensor_proto(values)
                blobs += [name.encode(), proto.SerializeToString()]
        asked.write_bytes(
            b"".join(struct.pack("<Q", len(blob)) + blob for blob in blobs)
        )
        subprocess.run([program, path, asked, answered, *libraries], check=True)
        return [*_answers(answered.read_bytes())]

    return call


def _answers(content):
    blobs = []
    while content:
        (length,) = struct.unpack_from("<Q", content)
        blobs.append(content[8 : 8 + length])
        content = content[8 + length :]
    blobs = iter(blobs)
    for kind in blobs:
        if kind == b"error":
            yield next(blobs).decode()
            continue
        answer = {}
        for _ in range(int(next(blobs))):
            name = next(blobs).decode()
            proto = tf.make_tensor_proto(0)
            proto.ParseFromString(next(blobs))
            answer[name] = tf.make_ndarray(proto)
        yield answer


@pytest.mark.parametrize(
    "name",
    [
        name
        if name in ("classifier", "answerer")
        else pytest.param(name, marks=pytest.mark.long)
        for name in CALLS
    ],
)
def test_every_signature_gives_the_numbers_of_python(
    name, client, exported, served
):
    folder = served(name)[1]
    found = client(exported(name)[1], [*CALLS[name].items()])
    for answer, (signature, inputs) in zip(
        found, CALLS[name].items(), strict=True
    ):
        tensors = {k: tf.constant(v) for k, v in inputs.items()}
        wanted = folder.signatures[signature](**tensors)
        assert answer.keys() == wanted.keys()
        for key, value in wanted.items():
            if value.dtype == tf.string:
                assert answer[key].tolist() == value.numpy().tolist()
            else:
                np.testing.assert_allclose(answer[key], value, atol=1e-6)


def test_hostile_strings_and_wrong_requests_do_not_stop_it(
    client, exported, served
):
    ids = np.array([[5, 6, 99]], "int32")
    zeros = np.zeros_like(ids)
    wrong = {"token_ids": ids, "segment_ids": zeros, "padding_mask": zeros}
    *refused, answer = client(
        exported("classifier")[1],
        [
            ("text_pair", {"text": ["a", "b"], "text_pair": ["a"]}),
            ("serving_default", wrong),
            ("text", {"text": HOSTILE}),
        ],
    )
    assert "as many strings in `text_pair`" in refused[0]
    assert "Expected `token_ids` to be at least 0" in refused[1]
    model = served("classifier")[0]
    wanted = model.predict(tf.data.Dataset.from_tensors(HOSTILE), verbose=0)
    np.testing.assert_allclose(answer["logits"], wanted, atol=1e-6)
