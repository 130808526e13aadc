import pathlib
import weakref
from typing import Any

from keras_convbert.compat import EpochIterator
from keras_convbert.compat import find_in_callers
from keras_convbert.compat import is_running
from keras_convbert.files import AnyPath
from keras_convbert.locks import WriteLock

FILE_NAME = ".lock"


class TrainingLock:
    """The lock of one call of `fit` on its folder of checkpoints.

    Keras does not tell callbacks that `fit` raised an error. The lock of such
    a call is released when its callback is deleted, or when the same process
    trains with the folder again.

    Args:
        directory: path of the folder, which `acquire` makes if it is missing.
    """

    def __init__(self, directory: AnyPath) -> None:
        self._path = pathlib.Path(directory)
        self._lock = WriteLock(self._path, self._path / FILE_NAME)
        self._iterator: weakref.ref[Any] | None = None

    def acquire(self) -> None:
        """Acquires the lock, within a call of `fit`.

        Raises:
            BlockingIOError: if another call of `fit` holds it.
        """
        iterator = find_in_callers(EpochIterator, "epoch_iterator")
        self._iterator = None if iterator is None else weakref.ref(iterator)
        self._path.mkdir(parents=True, exist_ok=True)
        key = str(self._path.resolve())
        former = _HOLDERS.get(key)
        if former is not None and not former.is_in_use():
            former.release()
        self._lock.acquire()
        _HOLDERS[key] = self

    def release(self) -> None:
        self._lock.release()

    @property
    def is_held(self) -> bool:
        """Whether it is held; file systems without locks never hold it."""
        return self._lock.is_held

    def is_in_use(self) -> bool:
        if self._iterator is None:
            # Not `fit`, but a loop that calls the callback.
            return True
        iterator = self._iterator()
        return iterator is not None and is_running(iterator)


_HOLDERS: weakref.WeakValueDictionary[str, TrainingLock] = (
    weakref.WeakValueDictionary()
)
