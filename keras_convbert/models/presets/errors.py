import contextlib
import os
from collections.abc import Iterator

from keras_convbert.checkpoints.errors import CheckpointError


@contextlib.contextmanager
def preset_errors(
    preset: os.PathLike[str], *also: type[Exception]
) -> Iterator[None]:
    """Re-raises the errors of a damaged preset as `CheckpointError`.

    Args:
        preset: the preset.
        *also: further exception types that damaged files may raise.

    Raises:
        CheckpointError: if a value in a file has an unexpected type. The
            original exception is the cause.
    """
    kinds: tuple[type[Exception], ...] = (
        TypeError,
        LookupError,
        AttributeError,
        RuntimeError,
        *also,
    )
    try:
        yield
    except CheckpointError:
        raise
    except kinds as error:
        raise CheckpointError(
            f"Cannot load preset={os.fspath(preset)!r}. "
            f"{type(error).__name__}: {error}"
        ) from error
