import difflib
from collections.abc import Collection
from collections.abc import Iterable


def check_keys(found: Iterable[str], known: Collection[str], of: str) -> None:
    """Raises `ValueError` for a key that is unknown, and names a near one."""
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise ValueError(
                f"Unknown key {key!r} of {of}. {hint}"
                f"Expected some of {sorted(known)}. Received: {key!r}"
            )
