"""The encoders of one worker process, timed and measured arm by arm.

A worker imports this module before its backend is set, so the module itself
imports neither Keras nor a backend.
"""

import gc
import time
from typing import Any

import cases


class Encoders:
    """The arms of one process, made once and timed in turns."""

    def __init__(self, backend: str, cpu_time: bool = False) -> None:
        self.backend = backend
        self._clock = time.process_time if cpu_time else time.perf_counter
        self._ready: dict[str, Any] = {}

    def make(self, name: str, case: cases.Case) -> dict[str, Any]:
        """Make an arm and call it twice; the first call compiles."""
        start = time.perf_counter()
        made = _made(cases.ARMS[name], case)
        self._ready[name] = made
        made.run()
        first = time.perf_counter() - start
        made.run()
        made.wait()
        told = {"parameters": made.parameters, "first_call_s": round(first, 1)}
        if made.temporary is not None:
            told["temporary_mib"] = round(made.temporary / 2**20, 1)
        return told

    def time(self, name: str) -> float:
        """Return the milliseconds of one call."""
        made = self._ready[name]
        made.wait()
        start = self._clock()
        made.run()
        made.wait()
        return 1e3 * (self._clock() - start)

    def peak_memory(self, name: str) -> float:
        """Return the peak memory of one call above its start, in MiB."""
        import measure

        made = self._ready[name]
        on_device = made.device_memory()
        if on_device is not None:
            return on_device
        return measure.peak_memory(lambda: (made.run(), made.wait()))

    def flops(self, case: cases.Case) -> float:
        return cases.flops(case)

    def parameters(self, size: str) -> int:
        from keras_convbert.models.convbert import convbert_presets

        known = convbert_presets.ARCHITECTURES.get(f"convbert_{size}")
        return known["params"] if known else 1

    def profile(self, name: str) -> list[dict[str, Any]]:
        return self._ready[name].profile()

    def drop(self) -> None:
        self._ready.clear()
        if self.backend == "torch":
            import torch

            torch._dynamo.reset()
        gc.collect()


def _made(arm: cases.Arm, case: cases.Case) -> Any:
    if arm.model.endswith("Model"):
        import torch_encoders

        return torch_encoders.Peer(arm, case, cases.config_of(case.size))
    import keras_encoders

    return keras_encoders.made(arm, case, cases.config_of(case.size))
