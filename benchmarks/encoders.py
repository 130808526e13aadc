"""Encoders of equal size, ours and the peers', as arms of a benchmark.

Imported by a process before it knows its backend, so nothing that imports Keras
stands at the top.
"""

import gc
import math
import time
from typing import Any
from typing import NamedTuple


class Arm(NamedTuple):
    """A model, the framework that runs it, and how that runs it."""

    model: str
    backend: str
    mode: str = "eager"


PEER = "transformers ConvBERT"
BERT = "transformers BERT"
ARMS = {
    PEER: Arm("ConvBertModel", "torch"),
    f"{PEER} compiled": Arm("ConvBertModel", "torch", "compiled"),
    BERT: Arm("BertModel", "torch"),
    f"{BERT} compiled": Arm("BertModel", "torch", "compiled"),
    "ours torch": Arm("ours", "torch"),
    "ours torch compiled": Arm("ours", "torch", "compiled"),
    "ours jax": Arm("ours", "jax", "jit"),
    "ours tensorflow graph": Arm("ours", "tensorflow", "graph"),
    "ours tensorflow xla": Arm("ours", "tensorflow", "xla"),
    "KerasHub BERT torch": Arm("BertBackbone", "torch"),
    "KerasHub BERT jax": Arm("BertBackbone", "jax", "jit"),
    "KerasHub BERT tensorflow graph": Arm(
        "BertBackbone", "tensorflow", "graph"
    ),
}
OURS = [name for name, arm in ARMS.items() if arm.model == "ours"]
TINY = {
    "vocabulary_size": 1000,
    "num_layers": 2,
    "num_heads": 4,
    "hidden_dim": 64,
    "intermediate_dim": 128,
    "embedding_dim": 32,
}
SIZES = ("tiny", "small", "medium_small", "base")


class Case(NamedTuple):
    """What all arms of a comparison do."""

    phase: str
    """`inference` or `training`: forward, or a whole step with AdamW."""
    size: str
    dtype: str
    length: int
    batch: int = 4

    def __str__(self) -> str:
        return (
            f"{self.phase}, {self.size}, {self.dtype}, "
            f"length {self.length}, batch {self.batch}"
        )


class Encoders:
    """The arms of one process."""

    def __init__(self, backend: str, cpu_time: bool = False) -> None:
        self.backend = backend
        self._clock = time.process_time if cpu_time else time.perf_counter
        self._ready: dict[str, Any] = {}

    def make(self, name: str, case: Case) -> dict[str, Any]:
        """Makes an arm and calls it twice: the first call compiles."""
        start = time.perf_counter()
        made = _made(ARMS[name], case)
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
        """Milliseconds of one call."""
        made = self._ready[name]
        made.wait()
        start = self._clock()
        made.run()
        made.wait()
        return 1e3 * (self._clock() - start)

    def peak_memory(self, name: str) -> float:
        """MiB by which memory rises at most in one call."""
        import measure

        made = self._ready[name]
        on_device = made.device_memory()
        if on_device is not None:
            return on_device
        return measure.peak_memory(lambda: (made.run(), made.wait()))

    def flops(self, case: Case) -> float:
        return flops(case)

    def parameters(self, size: str) -> int:
        from keras_convbert.models.convbert import convbert_presets

        known = convbert_presets.ARCHITECTURES.get(f"convbert_{size}")
        return known["params"] if known else 1

    def profile(self, name: str) -> list[dict]:
        return self._ready[name].profile()

    def drop(self) -> None:
        self._ready.clear()
        if self.backend == "torch":
            import torch

            torch._dynamo.reset()
        gc.collect()


def flops(case: Case) -> float:
    """Of ours, by products of matrices; a training step takes three times."""
    config = config_of(case.size)
    width, inner = config["hidden_dim"], config["intermediate_dim"]
    groups = config.get("num_groups", 1)
    branch = width // 2
    taps = 9
    projections = 5 * width * branch + width * width
    attention = 2 * case.length * branch
    kernels = branch * (branch // (width // config["num_heads"])) * taps
    feed_forward = 2 * width * inner / groups
    by_token = projections + attention + kernels + feed_forward
    tokens = case.batch * case.length
    passes = 3 if case.phase == "training" else 1
    return 2.0 * passes * tokens * config["num_layers"] * by_token


def config_of(size: str) -> dict[str, Any]:
    from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES

    if size == "tiny":
        return TINY
    return ARCHITECTURES[f"convbert_{size}"]["config"]


def _made(arm: Arm, case: Case) -> Any:
    if arm.model.endswith("Model"):
        import torch_encoders

        return torch_encoders.Peer(arm, case, config_of(case.size))
    import keras_encoders

    return keras_encoders.made(arm, case, config_of(case.size))


def token_ids(case: Case, vocabulary: int) -> Any:
    import numpy as np

    shape = (case.batch, case.length)
    rng = np.random.default_rng(math.prod(shape))
    return rng.integers(5, vocabulary, shape).astype("int32")
