"""Writing to a full disk says so, and names what was to be written."""

import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from keras_convbert.full_disk import full_disk_errors

MOUNT = ["unshare", "--user", "--map-root-user", "--mount"]
WRITES = """
import errno, json, os, pathlib, subprocess, sys

folder = pathlib.Path(sys.argv[1])
tmpfs = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(folder)]
if subprocess.run(tmpfs).returncode:
    sys.exit(77)

from keras_convbert import export
from keras_convbert.files import write_text
from tests.export import tiny

model = tiny.backbone()
calls = {
    "1": lambda: export.export_saved_model(model, folder, verbose=False),
    "a.xml": lambda: export.export_openvino(
        model, folder / "a.xml", verbose=False
    ),
    "preset": lambda: model.save_to_preset(folder / "preset"),
    "a.txt": lambda: write_text(folder / "a.txt", "a" * 20_000),
}
if len(sys.argv) > 2:
    calls = {
        "a.tflite": lambda: export.export_litert(
            model, folder / "a.tflite", verbose=False
        ),
        "a.onnx": lambda: export.export_onnx(
            model, folder / "a.onnx", verbose=False
        ),
        "weights": lambda: model.export_to_transformers(folder / "weights"),
        "a.pt2": lambda: export.export_torch(
            model, folder / "a.pt2", verbose=False
        ),
    }
found = {}
for name, call in calls.items():
    try:
        call()
    except OSError as error:
        found[name] = [errno.errorcode.get(error.errno), str(error)]
    found[name].append(os.listdir(folder))
print(json.dumps(found))
"""
pytestmark = pytest.mark.once


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*MOUNT, "true"], capture_output=True).returncode != 0,
    reason="this machine does not let tests mount a small disk",
)
@pytest.mark.parametrize(
    "arguments", [[], pytest.param(["more"], marks=pytest.mark.long)]
)
def test_exports_and_presets_name_their_target(arguments, tmp_path):
    process = subprocess.run(
        [*MOUNT, sys.executable, "-c", WRITES, tmp_path, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=pathlib.Path(__file__).parents[1],
    )
    if process.returncode == 77:
        pytest.skip("this machine does not let tests mount a small disk")
    for name, (code, message, left) in json.loads(process.stdout).items():
        assert code == "ENOSPC", (name, message)
        first = message.splitlines()[0]
        assert first.startswith("[Errno 28] No space left on device"), first
        assert first.endswith(repr(str(tmp_path / name))), first
        assert left == []


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EFBIG"])
def test_a_buried_message_is_found(code, tmp_path):
    number = getattr(errno, code)
    (tmp_path / ".outer").mkdir()
    for error in (
        OSError(number, os.strerror(number)),
        RuntimeError(f"write failed.\nerrno = {os.strerror(number)} at 7"),
    ):
        with pytest.raises(OSError, match="bytes are free") as caught:
            with full_disk_errors(tmp_path / "outer"):
                with full_disk_errors(tmp_path / ".outer" / "inner"):
                    raise error
        assert caught.value.errno == number
        assert caught.value.filename == str(tmp_path / "outer")


def test_a_full_disk_of_temporary_files_is_named(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "temporary").mkdir()
    with pytest.raises(OSError, match="No space left") as caught:
        with full_disk_errors(tmp_path / "disk" / "target"):
            with full_disk_errors(tmp_path / "temporary" / "file"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(tmp_path / "temporary" / "file")


@pytest.mark.parametrize("error", [ValueError("a"), FileNotFoundError(2, "b")])
def test_other_errors_are_not_changed(error, tmp_path):
    with pytest.raises(type(error)) as caught:
        with full_disk_errors(tmp_path / "a"):
            raise error
    assert caught.value is error
