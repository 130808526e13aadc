"""Who imports whom, who asks for the backend, who touches private parts."""

import ast
import pathlib

import pytest

import keras_convbert

PACKAGE = pathlib.Path(keras_convbert.__file__).parent
GROUND = {"config", "files", "types", "compat", "version"}
FAMILIES = {"convbert"}
# What a floor may import besides itself and the ground floor.
MAY_IMPORT = {
    "ops": set(),
    "text": set(),
    "layers": {"ops"},
    "training": {"text"},
    "checkpoints": set(),
    "models/presets": {"checkpoints", "text"},
    "models/base": {
        *("ops", "layers", "text", "training", "checkpoints"),
        "models/presets",
    },
    **{
        f"models/{family}": {
            *("ops", "layers", "text", "training", "checkpoints"),
            *("models/presets", "models/base"),
        }
        for family in FAMILIES
    },
    # The public names, and `load_model`.
    "models": {
        *("checkpoints", "text", "models/presets"),
        *(f"models/{family}" for family in FAMILIES),
    },
    "data": {"text", "checkpoints", "models/base"},
    "export": {"text", "checkpoints", "models/base"},
    "analysis": {"models/base", "models/presets"},
    "recipes": {
        *("training", "text", "checkpoints"),
        *("models", "models/presets", "data", "export", "analysis"),
    },
    "cli": {"recipes"},
    **{name: set() for name in GROUND},
}
BACKENDS = {"tensorflow", "tensorflow_text", "jax", "torch"}
ASK_FOR_THE_BACKEND = ("keras.backend.backend", "keras.config.backend")
# Private attributes that are not Keras's.
OWN_PRIVATE = {"_replace", "_asdict", "_fields", "_getframe"}
FILES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
pytestmark = pytest.mark.once


def floor_of(file):
    parts = file.removesuffix(".py").split("/")
    if parts[0] == "models" and len(parts) > 2:
        return f"models/{parts[1]}"
    return parts[0]


def floor_of_module(module):
    """The floor of `keras_convbert.a.b`, a module or a name in one."""
    parts = module.split(".")[1:]
    if parts[0] == "models" and len(parts) > 1:
        folder = PACKAGE / "models" / parts[1]
        if folder.is_dir():
            return f"models/{parts[1]}"
    return parts[0]


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
    assert floors == MAY_IMPORT.keys()
    folders = {path.name for path in (PACKAGE / "models").iterdir()}
    known = {"base", "presets", *FAMILIES}
    assert {f for f in folders if (PACKAGE / "models" / f).is_dir()} <= {
        *known,
        "__pycache__",
    }


def test_imports_go_one_way():
    faults = []
    for file, tree in FILES.items():
        if file == "__init__.py":
            continue
        floor = floor_of(file)
        allowed = MAY_IMPORT[floor] | GROUND | {floor}
        for module, node in imported(tree):
            if module.startswith("keras_convbert."):
                if floor_of_module(module) not in allowed:
                    faults.append(f"{file}:{node.lineno} imports {module}")
    assert faults == []


def test_no_family_is_imported_from_outside():
    faults = []
    for file, tree in FILES.items():
        if floor_of(file) in {f"models/{name}" for name in FAMILIES}:
            continue
        for module, node in imported(tree):
            parts = module.split(".")
            inside = parts[:2] == ["keras_convbert", "models"] and (
                len(parts) > 2 and parts[2] in FAMILIES
            )
            # The public names are imported in one place.
            if inside and file != "models/__init__.py":
                faults.append(f"{file}:{node.lineno} imports {module}")
    assert faults == []


def test_families_know_no_other_family():
    faults = [
        f"{file}:{node.lineno} imports {module}"
        for file, tree in FILES.items()
        for module, node in imported(tree)
        for family in FAMILIES
        if floor_of(file) == f"models/{family}"
        and module.startswith("keras_convbert.models.")
        and module.split(".")[2] in FAMILIES - {family}
    ]
    assert faults == []


def test_private_parts_of_keras_are_behind_compat():
    faults = []
    for file, tree in FILES.items():
        if file.startswith("compat/"):
            continue
        faults += [
            f"{file}:{node.lineno} imports {module}"
            for module, node in imported(tree)
            if module.startswith(("keras_hub.src", "keras.src"))
        ]
        faults += [
            f"{file}:{node.lineno} uses {ast.unparse(node)}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and is_foreign_private(node)
        ]
    assert faults == []


def is_foreign_private(node):
    """Whether an attribute is private, and not of `self` or a class."""
    name = node.attr
    if not name.startswith("_") or name.startswith("__"):
        return False
    owner = ast.unparse(node.value)
    own = owner in ("self", "cls", "super()") or owner.startswith("torch")
    return not own and name not in OWN_PRIVATE


def test_no_backend_is_imported_at_the_top():
    faults = []
    for file, tree in FILES.items():
        top = set(map(id, tree.body))
        faults += [
            f"{file}:{node.lineno} imports {module}"
            for module, node in imported(tree)
            if module.split(".")[0] in BACKENDS and id(node) in top
        ]
    assert faults == []


def test_layers_and_models_do_not_ask_for_the_backend():
    faults = [
        f"{file}:{node.lineno}"
        for file, tree in FILES.items()
        if floor_of(file).split("/")[0] in ("layers", "models", "text")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in ASK_FOR_THE_BACKEND
    ]
    assert faults == []


def test_no_constructor_is_long():
    """At most 80 lines without the docstring."""
    faults = []
    for file, tree in FILES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                docstring = ast.get_docstring(node, clean=False) or ""
                lines = node.end_lineno - node.lineno + 1
                lines -= len(docstring.splitlines())
                if lines > 80:
                    faults.append(f"{file}:{node.lineno} has {lines} lines")
    assert faults == []
