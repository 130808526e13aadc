"""What the package says of itself: bounds, Python versions, citation."""

import pathlib
import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import keras_convbert
from keras_convbert.text.published_vocabulary import FOREIGN_FILE

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
# CI installs the lower bounds of these, and no user needs `dev`.
REQUIREMENTS = [
    Requirement(line)
    for lines in (
        PROJECT["dependencies"],
        *(v for k, v in PROJECT["optional-dependencies"].items() if k != "dev"),
    )
    for line in lines
]
PINS = dict(
    re.findall(
        r"^([\w.-]+)==(\S+)$",
        "".join(
            (ROOT / name).read_text("utf-8")
            for name in ("requirements.txt", "requirements-dev.txt")
        ),
        re.MULTILINE,
    )
)
pytestmark = pytest.mark.once


def test_every_requirement_has_a_lower_bound():
    unbounded = [
        str(requirement)
        for requirement in REQUIREMENTS
        if not any(s.operator == ">=" for s in requirement.specifier)
    ]
    assert not unbounded


def test_pinned_versions_are_allowed():
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    refused = [
        f"{requirement}, pinned to {pins.get(canonicalize_name(name))}"
        for requirement in REQUIREMENTS
        for name in [requirement.name]
        if not requirement.specifier.contains(
            pins.get(canonicalize_name(name), "0")
        )
    ]
    assert not refused


def test_ci_runs_the_python_versions_of_the_classifiers():
    text = (ROOT / ".github/workflows/tests.yml").read_text("utf-8")
    jobs = yaml.safe_load(text)["jobs"]
    versions = [
        f"Programming Language :: Python :: {version}"
        for version in jobs["backend"]["strategy"]["matrix"]["python"]
    ]
    declared = [c for c in PROJECT["classifiers"] if ":: Python :: 3." in c]
    assert declared == versions
    lowest = versions[0].split()[-1]
    assert PROJECT["requires-python"] == f">={lowest}"


def test_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == keras_convbert.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == PROJECT["urls"]["Homepage"]


def test_wheel_has_every_data_file():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))[
        "tool"
    ]["setuptools"]["package-data"]["keras_convbert"]
    package = ROOT / "keras_convbert"
    packed = {path for name in patterns for path in package.glob(name)}
    data = {
        path
        for path in package.rglob("*")
        if path.is_file()
        and path.suffix not in (".py", ".pyc")
        and "__pycache__" not in path.parts
    }
    assert data <= packed
    assert package / "text" / FOREIGN_FILE in packed
