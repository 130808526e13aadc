"""What the package says of itself: bounds, Python versions, citation."""

import importlib.metadata
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
    tested = [
        *jobs["backend"]["strategy"]["matrix"]["python"],
        *(
            run["python"]
            for run in jobs["without-tensorflow"]["strategy"]["matrix"][
                "include"
            ]
        ),
    ]
    versions = [
        f"Programming Language :: Python :: {version}"
        for version in sorted({*tested})
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


# Which of TensorFlow, TensorFlow Text and KerasHub pip can install.
ALL = {"tensorflow", "tensorflow-text", "keras-nlp"}
PLATFORMS = [
    ("Linux", "x86_64", "3.11", ALL),
    ("Linux", "aarch64", "3.13", ALL),
    ("Darwin", "arm64", "3.13", ALL),
    ("Windows", "AMD64", "3.12", {"tensorflow", "keras-nlp"}),
    ("Windows", "ARM64", "3.13", {"keras-nlp"}),
    ("Windows", "AMD64", "3.14", {"keras-nlp"}),
    ("Linux", "x86_64", "3.14", set()),
    ("Linux", "ppc64le", "3.12", set()),
    ("Darwin", "arm64", "3.14", set()),
    ("Darwin", "x86_64", "3.12", set()),
]


@pytest.mark.parametrize(("system", "machine", "python", "wanted"), PLATFORMS)
def test_only_packages_that_exist_are_required(system, machine, python, wanted):
    environment = {
        "platform_system": system,
        "platform_machine": machine,
        "python_version": python,
    }
    required = [
        requirement
        for requirement in map(Requirement, PROJECT["dependencies"])
        if not requirement.marker or requirement.marker.evaluate(environment)
    ]
    names = {requirement.name for requirement in required}
    assert len(names) == len(required)
    assert names & ALL == wanted
    # KerasHub's other requirements are ours where pip cannot install it.
    assert ("kagglehub" in names) == ("keras-nlp" not in names)


def test_requirements_of_keras_hub_are_listed():
    ours = {Requirement(line).name for line in PROJECT["dependencies"]}
    theirs = {
        canonicalize_name(Requirement(line).name)
        for line in importlib.metadata.requires("keras-hub")
        if "extra ==" not in line
    }
    assert theirs <= ours


def test_ci_runs_the_smoke_test_where_tensorflow_text_is_missing():
    text = (ROOT / ".github/workflows/tests.yml").read_text("utf-8")
    job = yaml.safe_load(text)["jobs"]["without-tensorflow"]
    runs = job["strategy"]["matrix"]["include"]
    assert any(run["os"].startswith("windows") for run in runs)
    assert any(run["python"] == "3.14" for run in runs)
    assert ".ci/smoke_test.py" in str(job["steps"])
    assert (ROOT / ".ci/smoke_test.py").exists()


def test_the_advice_on_keras_hub_has_the_bounds_of_the_package():
    (keras_nlp,) = (
        requirement
        for requirement in REQUIREMENTS
        if requirement.name == "keras-nlp"
    )
    for name in (
        "README.md",
        "keras_convbert/check_requirements.py",
        ".github/workflows/tests.yml",
    ):
        (found,) = re.findall(
            r'--no-deps "keras-hub(.*?)"', (ROOT / name).read_text("utf-8")
        )
        assert Requirement(f"keras-hub{found}").specifier == keras_nlp.specifier
