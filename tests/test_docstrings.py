"""Docstrings say what signatures say."""

import ast
import inspect
import re

import pytest

from tests import public

DOCUMENTED = dict(public.documented())
pytestmark = pytest.mark.once


def signature_faults(value):
    """What the docstring says of the arguments and the signature does not."""
    signature = inspect.signature(
        value.__init__ if inspect.isclass(value) else value
    )
    stars = {
        inspect.Parameter.VAR_POSITIONAL: "*",
        inspect.Parameter.VAR_KEYWORD: "**",
    }
    parameters = {
        stars.get(p.kind, "") + p.name: p.default
        for p in signature.parameters.values()
        if p.name != "self"
    }
    found = public.arguments(value)
    if not found and not inspect.isclass(value) and len(parameters) < 2:
        return
    if list(found) != list(parameters):
        yield f"documents {list(found)}, takes {list(parameters)}"
        return
    for argument, default in parameters.items():
        stated = re.search(
            r"Defaults\s+to\s+`([^`]+)`\.", found[argument], re.DOTALL
        )
        if default is inspect.Parameter.empty:
            if stated:
                yield f"states a default for {argument}, which has none"
        elif not stated:
            yield f"states no default for {argument}"
        elif ast.literal_eval(stated[1]) != default:
            yield f"states {stated[1]} for {argument}, takes {default!r}"


def test_names_and_defaults_equal_the_signature():
    faults = [
        f"{name} {fault}"
        for name, value in DOCUMENTED.items()
        for fault in signature_faults(value)
    ]
    assert len(DOCUMENTED) > 150
    assert faults == []


def test_classes_show_an_example():
    faults = []
    for name, value in DOCUMENTED.items():
        if not inspect.isclass(value):
            continue
        wanted = {"Example"}
        if name.startswith("layers."):
            wanted |= {"Args", "Call arguments", "Output shape", "Raises"}
            wanted |= {"Reference"}
        missing = wanted - public.sections(value).keys()
        if missing:
            faults.append(f"{name} has no section {sorted(missing)}")
        if not public.examples(inspect.cleandoc(value.__doc__)):
            faults.append(f"{name} shows no code")
    assert faults == []


def test_public_names_are_pinned():
    import keras_convbert

    for package, names in public.NAMES.items():
        assert set(getattr(keras_convbert, package).__all__) == names
    assert set(keras_convbert.__all__) == {
        "__version__",
        *public.FUNCTIONS,
        *public.NAMES,
    }
