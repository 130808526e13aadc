"""Imports every module of the installed package.

    python .ci/import_every_module.py

Run it in an environment with the built wheel and its dependencies alone. It
fails if a module needs a package that the wheel does not require, or if the
wheel lacks a module of this checkout.
"""

import importlib
import pathlib
import pkgutil

import keras

import keras_convbert

CHECKOUT = pathlib.Path(__file__).resolve().parents[1]


def main() -> None:
    installed = pathlib.Path(keras_convbert.__file__).resolve().parent
    if installed.is_relative_to(CHECKOUT):
        raise SystemExit(
            f"Expected an installed wheel outside {CHECKOUT}. "
            f"Received: package={installed}"
        )
    found = {
        module.name
        for module in pkgutil.walk_packages(
            keras_convbert.__path__, "keras_convbert."
        )
    }
    for name in sorted(found):
        importlib.import_module(name)
    missing = modules_of_checkout() - found
    if missing:
        raise SystemExit(
            f"Expected every module of the checkout in the wheel. "
            f"Received: missing={sorted(missing)}"
        )
    print(f"{keras.backend.backend()}: {len(found)} modules imported")


def modules_of_checkout() -> set[str]:
    names = set()
    for path in (CHECKOUT / "keras_convbert").rglob("*.py"):
        parts = path.relative_to(CHECKOUT).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        names.add(".".join(parts))
    return names - {"keras_convbert"}


if __name__ == "__main__":
    main()
