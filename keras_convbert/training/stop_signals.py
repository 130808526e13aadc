import signal
import threading
import weakref
from types import FrameType
from typing import Any

NUMBERS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """Defers `SIGTERM` and `SIGINT` until the current step is done.

    A second signal, or one that arrives when `fit` no longer runs, has its
    usual effect.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._former: dict[int, Any] = {}
        # The handlers outlive a training that an error ends, and must not keep
        # its data.
        self._iterator: Any = None

    def listen(self, iterator: Any) -> None:
        """Installs the handlers, if called in the main thread.

        Args:
            iterator: the `EpochIterator` of `fit`.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        self._iterator = weakref.ref(iterator)
        self.received = None
        for number in NUMBERS:
            # `nohup` and background jobs of shells ignore some signals.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._former[number] = signal.signal(number, self._receive)

    def stop_listening(self) -> None:
        """Restores the former handlers."""
        for number, former in self._former.items():
            # Another handler may have been installed in the meantime.
            if signal.getsignal(number) == self._receive:
                signal.signal(number, former)
        self._former = {}
        self._iterator = None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is None and self._is_running(frame):
            self.received = number
            return
        self.stop_listening()
        signal.raise_signal(number)

    def _is_running(self, frame: FrameType | None) -> bool:
        iterator = self._iterator and self._iterator()
        while frame is not None and iterator is not None:
            if frame.f_locals.get("epoch_iterator") is iterator:
                return True
            frame = frame.f_back
        return False
