"""Who imports whom, and who may ask for the backend."""

import ast
import pathlib

import pytest

import keras_convbert

PACKAGE = pathlib.Path(keras_convbert.__file__).parent
GROUND = {"config", "files", "types", "compat", "version"}
MAY_IMPORT = {
    "ops": set(),
    "layers": {"ops"},
    "text": set(),
    "training": {"text"},
    "checkpoints": set(),
    "models": {"ops", "layers", "text", "training", "checkpoints"},
    "data": {"ops", "layers", "text", "training", "checkpoints", "models"},
    "export": {"ops", "layers", "text", "training", "checkpoints", "models"},
    "analysis": {"ops", "layers", "training", "checkpoints", "models"},
    "recipes": {
        *("training", "checkpoints", "models"),
        *("data", "export", "analysis"),
    },
    "cli": {"recipes"},
    **{name: set() for name in GROUND},
}
BACKENDS = {"tensorflow", "tensorflow_text", "jax", "torch"}
FILES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
pytestmark = pytest.mark.once


def floor_of(file):
    return file.split("/")[0].removesuffix(".py")


def imported(tree):
    """Each module that a file imports, and the statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node
        elif isinstance(node, ast.ImportFrom):
            for name in node.names:
                yield f"{node.module}.{name.name}", node


def test_every_floor_is_known():
    floors = {floor_of(file) for file in FILES} - {"__init__"}
    assert floors <= MAY_IMPORT.keys()


@pytest.mark.parametrize("file", [f for f in FILES if f != "__init__.py"])
def test_imports_go_one_way(file):
    floor = floor_of(file)
    allowed = MAY_IMPORT[floor] | GROUND | {floor}
    for module, _ in imported(FILES[file]):
        package, _, rest = module.partition(".")
        if package == "keras_convbert":
            assert rest.split(".")[0] in allowed, module
        if module.startswith(("keras_hub.src", "keras.src")):
            assert floor == "compat", module


@pytest.mark.parametrize("file", FILES)
def test_no_backend_is_imported_at_the_top(file):
    top = set(map(id, FILES[file].body))
    for module, node in imported(FILES[file]):
        if module.split(".")[0] in BACKENDS:
            assert id(node) not in top, module


@pytest.mark.parametrize(
    "file", [f for f in FILES if floor_of(f) in ("layers", "models")]
)
def test_layers_and_models_do_not_ask_for_the_backend(file):
    for node in ast.walk(FILES[file]):
        if isinstance(node, ast.Attribute):
            asked = ast.unparse(node)
            assert asked not in (
                "keras.backend.backend",
                "keras.config.backend",
            ), f"line {node.lineno}"
