"""Every example in a docstring or in the README runs as it stands."""

import inspect
import pathlib

import keras
import pytest

from tests import public

README = pathlib.Path(__file__).parents[1] / "README.md"
EXAMPLES = {
    f"{name}-{i}": code
    for name, value in public.documented()
    for i, code in enumerate(
        public.examples(inspect.cleandoc(value.__doc__ or ""))
    )
}
pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            # These make and train models.
            marks=[pytest.mark.long] * name.startswith(("models.", "export.")),
        )
        for name in EXAMPLES
    ],
)
def test_docstring(name):
    exec(compile(EXAMPLES[name], name, "exec"), {"__name__": name})


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The head of .* is new")
@pytest.mark.filterwarnings("ignore:This model has `mask_conv=True`")
def test_readme(tmp_path):
    """One block goes on where the one before it stopped."""
    line = "The quick brown fox jumps over the lazy dog, again and again.\n"
    text = "".join(line + line.swapcase() + "\n" for _ in range(60))
    (tmp_path / "corpus.txt").write_text(text)
    names = {"__name__": "readme"}
    blocks = public.examples(README.read_text(encoding="utf-8"))
    for i, code in enumerate(blocks):
        exec(compile(code, f"README block {i}", "exec"), names)
    assert names["answer"]["label"].numpy()[0] in (b"good", b"bad")
    assert isinstance(names["again"], keras.Model)
