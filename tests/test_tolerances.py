"""Tolerances have reasons, and patterns are not empty."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent
NAMES = {"atol", "rtol", "abs", "rel"}
WIDE = 1e-5
pytestmark = pytest.mark.once


def sources():
    for path in sorted(ROOT.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        yield path.relative_to(ROOT), text.splitlines(), ast.parse(text)


def parameters(tree):
    """Names of parametrized arguments, each with the nodes of its values."""
    for call in ast.walk(tree):
        function = getattr(call, "func", None)
        if getattr(function, "attr", None) != "parametrize":
            continue
        names = ast.literal_eval(call.args[0])
        names = names.split(",") if isinstance(names, str) else names
        for case in getattr(call.args[1], "elts", ()):
            if isinstance(case, ast.Call):  # pytest.param(...)
                case = ast.Tuple(case.args)
            values = case.elts if isinstance(case, ast.Tuple) else [case]
            yield from zip(names, values, strict=False)


def named_values(tree):
    """Every value that the source gives to a name, with that name."""
    yield from parameters(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                yield getattr(target, "id", None), node.value
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                yield getattr(key, "value", None), value


def compared_deviations(tree):
    """Every upper bound of an absolute value, as in `abs(x - y) < 1e-4`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        for small, operator, large in zip(
            sides, node.ops, sides[1:], strict=False
        ):
            names = (
                ast.unparse(call.func).split(".")[-1]
                for call in ast.walk(small)
                if isinstance(call, ast.Call)
            )
            is_bound = isinstance(operator, ast.Lt | ast.LtE)
            if is_bound and isinstance(large, ast.Constant) and "abs" in names:
                yield "abs", large


def numbers(node):
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and type(part.value) in (int, float):
            yield part


def test_wide_tolerances_say_why_on_their_line():
    faults = [
        f"tests/{path}:{number.lineno}: {name}={number.value}"
        for path, lines, tree in sources()
        for name, value in (*named_values(tree), *compared_deviations(tree))
        if name in NAMES
        for number in numbers(value)
        if number.value > WIDE and "  # " not in lines[number.lineno - 1]
    ]
    assert faults == []


def test_no_empty_pattern_is_matched():
    """It matches every message. Elsewhere pytest warns, which is an error."""
    faults = [
        f"tests/{path}:{value.lineno}"
        for path, _, tree in sources()
        for name, value in named_values(tree)
        if name in ("match", "message")
        if isinstance(value, ast.Constant) and value.value == ""
    ]
    assert faults == []
