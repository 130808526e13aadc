"""Docstrings say what signatures say."""

import ast
import inspect
import re

import pytest

from tests import public

DOCUMENTED = dict(public.documented())
pytestmark = pytest.mark.once


@pytest.mark.parametrize("name", DOCUMENTED)
def test_names_and_defaults_equal_the_signature(name):
    value = DOCUMENTED[name]
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
        # A function that tasks take over as a method has `task` for `self`.
        if p.name not in ("self", "task")
    }
    found = public.arguments(value)
    if not found and not inspect.isclass(value) and len(parameters) < 2:
        return
    assert list(found) == list(parameters)
    for argument, default in parameters.items():
        stated = re.search(
            r"Defaults\s+to\s+`([^`]+)`\.", found[argument], re.DOTALL
        )
        if default is inspect.Parameter.empty:
            assert not stated, argument
        else:
            assert stated, f"{argument} has a default that is not stated"
            assert ast.literal_eval(stated[1]) == default, argument


@pytest.mark.parametrize(
    "name", [n for n, v in DOCUMENTED.items() if inspect.isclass(v)]
)
def test_classes_show_an_example(name):
    value = DOCUMENTED[name]
    assert public.examples(inspect.cleandoc(value.__doc__))
    wanted = {"Example"}
    if name.startswith("layers."):
        wanted |= {"Args", "Call arguments", "Output shape", "Raises"}
        wanted |= {"Reference"}
    assert wanted <= public.sections(value).keys()


def test_public_names_are_pinned():
    import keras_convbert

    for package, names in public.NAMES.items():
        assert set(getattr(keras_convbert, package).__all__) == names
    assert set(keras_convbert.__all__) == {
        "__version__",
        *public.FUNCTIONS,
        *public.NAMES,
    }
