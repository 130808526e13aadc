"""English prose that every installation has: Python documentation.

The docstrings of the standard library, NumPy, Keras and TensorFlow, and the
topics of the Python help system: about 10 MB.
"""

import ast
import importlib.util
import pathlib
import re
import sysconfig
import zlib
from collections.abc import Iterator

PACKAGES = ("python", "numpy", "keras", "tensorflow")
# Tests, and the old copy of Keras inside TensorFlow, which repeats its text.
LEFT_OUT = {"site-packages", "test", "tests", "idlelib", "lib2to3", "_vendor"}
LEFT_OUT_OF_TENSORFLOW = ("python", "keras")
TEST_SHARE = 0.15


def modules() -> Iterator[tuple[str, str, list[str]]]:
    """Yields package, module, and the paragraphs of its docstrings."""
    for package in PACKAGES:
        root = _root(package)
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).parts
            if LEFT_OUT & set(parts) or path.stem.endswith("_test"):
                continue
            if parts[:2] == LEFT_OUT_OF_TENSORFLOW and package == "tensorflow":
                continue
            found = _paragraphs("\n\n".join(_docstrings(path)))
            if found:
                yield package, "/".join(parts), found
    from pydoc_data import topics

    for name, text in sorted(topics.topics.items()):
        yield "python", f"topic {name}", _paragraphs(text)


def is_test(package: str, module: str) -> bool:
    """Returns whether a module is test data: about one in seven is."""
    number = zlib.crc32(f"{package}/{module}".encode())
    return number / 2**32 < TEST_SHARE


def _root(package: str) -> pathlib.Path:
    if package == "python":
        return pathlib.Path(sysconfig.get_paths()["stdlib"])
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            f"Expected {package} to be installed: its text is needed."
        )
    return pathlib.Path(spec.submodule_search_locations[0])


def _docstrings(path: pathlib.Path) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # Some files are code templates.
    documented = (
        ast.Module,
        ast.ClassDef,
        ast.FunctionDef,
        ast.AsyncFunctionDef,
    )
    for node in ast.walk(tree):
        if isinstance(node, documented):
            yield ast.get_docstring(node) or ""


def _paragraphs(text: str) -> list[str]:
    """Returns the paragraphs that look like prose, each on one line."""
    found = []
    for block in re.split(r"\n\s*\n|```", text):
        line = " ".join(block.split())
        words = re.findall(r"[A-Za-z]{2,}", line)
        letters = sum(map(len, words))
        if len(words) >= 8 and letters > 0.6 * len(line) and ">>>" not in line:
            found.append(line)
    return found
