"""Who imports whom, who asks for the backend, who touches private parts."""

import ast
import pathlib

import pytest

import keras_convbert

PACKAGE = pathlib.Path(keras_convbert.__file__).parent
GROUND = {"config", "files", "full_disk", "locks", "types", "compat", "version"}
# Each folder of models is a family, except what families share.
FAMILIES = {
    path.parent.name for path in (PACKAGE / "models").glob("*/__init__.py")
} - {"base", "presets"}
# What a floor may import besides itself and the ground floor.
MAY_IMPORT = {
    "check_requirements": set(),
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
# Private names of Python and of PyTorch.
OWN_PRIVATE = {
    *("_replace", "_asdict", "_fields", "_getframe", "_current_frames"),
    *("_forward_hooks", "_forward_pre_hooks"),
}
# Private names of Keras and KerasHub that a subclass inherits from them.
INHERITED = {
    "models/base/segment_packer.py": {"_trim_inputs_tf"},
    "models/base/windowed_preprocessor.py": {"_use_tf_workflow"},
    "models/base/word_piece_tokenizer.py": {
        *("_add_special_token", "_check_vocabulary", "_maybe_initialized_tf"),
        "_use_tf_workflow",
    },
    "models/convbert/convbert_tokenizer.py": {"_check_vocabulary"},
    "models/convbert/masking/masked_lm_mask_generator.py": {"_use_tf_workflow"},
    "training/adamw.py": {
        *("_all_reduce_sum_gradients", "_apply_weight_decay"),
        *("_backend_update_step", "_clip_gradients"),
        *("_get_variable_index", "_momentums", "_trainable_variables"),
        *("_use_weight_decay", "_velocities"),
    },
}
FILES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
pytestmark = pytest.mark.once


def _defined():
    """The names that the package assigns to objects or defines itself."""
    for tree in FILES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield node.name
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(
                node.ctx, ast.Store
            ):
                yield node.id if isinstance(node, ast.Name) else node.attr


DEFINED = {*_defined()}


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
    assert "convbert" in FAMILIES


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
            if is_foreign_private(node, INHERITED.get(file, set()))
        ]
    assert faults == []


def test_no_inherited_name_is_listed_in_vain():
    for file, names in INHERITED.items():
        used = {
            private_name(node)
            for node in ast.walk(FILES[file])
            if is_foreign_private(node, set())
        }
        assert used == names, file


def private_name(node):
    """The private name that an expression reads, or `None`."""
    name = None
    if isinstance(node, ast.Attribute):
        name = node.attr
    elif isinstance(node, ast.Call) and len(node.args) > 1:
        reads = ast.unparse(node.func) in ("getattr", "setattr", "hasattr")
        if reads and isinstance(node.args[1], ast.Constant):
            name = str(node.args[1].value)
    if name and name.startswith("_") and not name.startswith("__"):
        return name
    return None


def is_foreign_private(node, inherited):
    """Whether an expression reads a private name that is not ours.

    A subclass may read the names that it inherits, if they are listed.
    """
    name = private_name(node)
    if name is None or name in OWN_PRIVATE | inherited:
        return False
    if isinstance(node, ast.Call):
        return True
    owner = ast.unparse(node.value)
    if owner.startswith("torch"):
        return False
    return owner not in ("self", "cls") or name not in DEFINED


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
