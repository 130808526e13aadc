"""Checks that several constructors share."""

from collections.abc import Mapping
from typing import Any


def check_positive_integers(**arguments: Any) -> None:
    """Raises `ValueError` for the first argument that is not one."""
    for name, value in arguments.items():
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise ValueError(
                f"Invalid value for argument `{name}`. Expected a positive "
                f"integer. Received: {name}={value!r}"
            )


def check_rates(**arguments: Any) -> None:
    """Raises `ValueError` for the first argument outside [0, 1)."""
    for name, value in arguments.items():
        if not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise ValueError(
                f"Invalid value for argument `{name}`. Expected a number of "
                f"at least 0 and less than 1. Received: {name}={value!r}"
            )


def check_odd(**arguments: Any) -> None:
    """Raises `ValueError` for the first argument that is not an odd one."""
    check_positive_integers(**arguments)
    for name, value in arguments.items():
        if value % 2 == 0:
            raise ValueError(
                f"Invalid value for argument `{name}`. Expected a positive "
                f"odd integer. Received: {name}={value!r}"
            )


def check_no_others(arguments: Mapping[str, object], *known: str) -> None:
    """Raises `ValueError` for arguments that are not known.

    Keras ignores some unknown arguments, so that a misspelled one would have
    no effect.
    """
    others = sorted(arguments.keys() - {*known})
    if others:
        raise ValueError(
            f"Unexpected arguments. Expected only {sorted(known)} in addition "
            f"to the named ones. Received: {others}"
        )
