"""Numbers recorded from other implementations: see README.md."""

import json
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent


def lightconv_cases(*families):
    """Names of the cases of the convolutions of fairseq."""
    names = sorted(path.stem for path in (FOLDER / "lightconv").glob("*.json"))
    return [name for name in names if load(name)[0]["family"] in families]


def load(name):
    """What is said of a case, and its arrays."""
    path = FOLDER / "lightconv" / name
    facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    with np.load(path.with_suffix(".npz")) as file:
        return facts, dict(file)
