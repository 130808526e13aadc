"""Worker processes that stay warm and answer one request at a time.

Each Keras backend needs its own process. Arms in warm processes that take turns
see the same noise of the machine.
"""

import contextlib
import multiprocessing
import os
import traceback
from collections.abc import Callable
from typing import Any


class ArmError(Exception):
    """An error in a worker process, with its traceback."""


class Worker:
    """A process that makes one object and calls its methods on request."""

    def __init__(
        self,
        environment: dict[str, str],
        make: Callable[..., Any],
        *arguments: Any,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, environment, make, arguments)
        )
        self._process.start()
        theirs.close()

    def ask(self, method: str, *arguments: Any) -> Any:
        try:
            self._pipe.send((method, arguments))
            failed, answer = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise ArmError(
                "The process died, perhaps because memory ran out."
            ) from error
        if failed:
            raise ArmError(answer)
        return answer

    def alive(self) -> bool:
        return self._process.is_alive()

    def close(self) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()


class Workers(contextlib.AbstractContextManager["Workers"]):
    """One worker per backend, started at its first use."""

    def __init__(self, make: Callable[..., Any], *arguments: Any) -> None:
        self._make = make
        self._arguments = arguments
        self._started: dict[str, Worker] = {}

    def __getitem__(self, backend: str) -> Worker:
        worker = self._started.get(backend)
        if worker is None or not worker.alive():
            worker = Worker(
                environment(backend), self._make, backend, *self._arguments
            )
            self._started[backend] = worker
        return worker

    def close(self, backend: str) -> None:
        if backend in self._started:
            self._started.pop(backend).close()

    def started(self) -> list[Worker]:
        return [*self._started.values()]

    def __exit__(self, *raised: Any) -> None:
        for worker in self.started():
            worker.close()


def use_one_core() -> None:
    """Bind this process and its children to one core.

    Call it before any library counts the cores.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def environment(backend: str) -> dict[str, str]:
    return {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Processes share the memory of a GPU.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }


def _serve(
    pipe: Any,
    environment: dict[str, str],
    make: Callable[..., Any],
    arguments: tuple[Any, ...],
) -> None:
    os.environ.update(environment)
    made = make(*arguments)
    with contextlib.suppress(EOFError):
        while True:
            method, given = pipe.recv()
            try:
                answer = False, getattr(made, method)(*given)
            except Exception:
                answer = True, traceback.format_exc(limit=-3)
            pipe.send(answer)
