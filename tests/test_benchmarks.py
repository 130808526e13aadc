"""Every benchmark imports, prints its help, and imports names that exist."""

import ast
import graphlib
import importlib
import json
import os
import pathlib
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).parents[1] / "benchmarks"
TREES = {
    path.stem: ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.glob("*.py"))
}
SCRIPTS = {
    name
    for name, tree in TREES.items()
    if any(ast.unparse(node).startswith("if __name__") for node in tree.body)
}
# One process runs all scripts, as most of the time is the import of the
# frameworks. PyTorch comes first: imported after TensorFlow it may crash.
ASK_FOR_HELP = """
import contextlib, importlib, io, json, pathlib, runpy, sys
import torch

folder, modules, scripts = map(json.loads, sys.argv[1:])
sys.path.insert(0, folder)
for name in modules:
    importlib.import_module(name)
told = {}
for name in scripts:
    path = str(pathlib.Path(folder, f"{name}.py"))
    sys.argv = [path, "--help"]
    with contextlib.redirect_stdout(io.StringIO()) as output:
        try:
            runpy.run_path(path, run_name="__main__")
            status = "did not exit"
        except SystemExit as stop:
            status = stop.code
    told[name] = [status, output.getvalue()]
print(json.dumps(told))
"""
pytestmark = pytest.mark.once


def imports(tree):
    """Yield each module that a file imports, wherever the statement is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_there_are_benchmarks():
    assert {"model", "operators", "serving"} <= SCRIPTS
    assert {"encoders", "machine"} <= TREES.keys() - SCRIPTS


def test_every_module_imports_and_every_script_prints_its_help():
    arguments = (str(FOLDER), sorted(TREES.keys() - SCRIPTS), sorted(SCRIPTS))
    process = subprocess.run(
        [sys.executable, "-c", ASK_FOR_HELP, *map(json.dumps, arguments)],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    told = json.loads(process.stdout.splitlines()[-1])
    assert told.keys() == SCRIPTS
    wrong = {
        name: answer
        for name, answer in told.items()
        if answer[0] != 0 or not answer[1].startswith(f"usage: {name}.py")
    }
    assert not wrong


def test_names_imported_from_the_package_exist():
    missing = [
        f"{file}: {node.module}.{name.name}"
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module.split(".")[0] == "keras_convbert"
        for name in node.names
        if not hasattr(importlib.import_module(node.module), name.name)
    ]
    assert not missing


def test_benchmarks_do_not_import_each_other_in_a_circle():
    graph = {
        name: TREES.keys() & set(imports(tree)) for name, tree in TREES.items()
    }
    order = [*graphlib.TopologicalSorter(graph).static_order()]
    assert order.index("cases") < order.index("encoders")
