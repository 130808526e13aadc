import difflib
from collections.abc import Collection
from collections.abc import Iterable


def check_keys(found: Iterable[str], known: Collection[str], of: str) -> None:
    """Raises `ValueError` for an unknown key, and suggests a similar key."""
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise ValueError(
                f"Unknown key {key!r} in {of}. {hint}"
                f"Expected keys from {sorted(known)}. Received: {key!r}"
            )
