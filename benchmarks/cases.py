"""What a benchmark of encoders compares: arms, sizes and cases.

A worker imports this module before its backend is set, so the module itself
imports neither Keras nor a backend.
"""

import math
from typing import Any
from typing import NamedTuple


class Arm(NamedTuple):
    """A model, the framework that runs it, and the mode of that framework."""

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


class Case(NamedTuple):
    """The work that all arms of a comparison do."""

    phase: str
    """`inference` is a forward pass, `training` a whole step with AdamW."""
    size: str
    dtype: str
    length: int
    batch: int = 4

    def __str__(self) -> str:
        return (
            f"{self.phase}, {self.size}, {self.dtype}, "
            f"length {self.length}, batch {self.batch}"
        )


def config_of(size: str) -> dict[str, Any]:
    """Return the arguments of the backbone of a size."""
    from keras_convbert.models.convbert.convbert_presets import ARCHITECTURES

    if size == "tiny":
        return TINY
    return ARCHITECTURES[f"convbert_{size}"]["config"]


def token_ids(case: Case, vocabulary: int) -> Any:
    """Return random token ids, the same for all arms of a case."""
    import numpy as np

    shape = (case.batch, case.length)
    rng = np.random.default_rng(math.prod(shape))
    return rng.integers(5, vocabulary, shape).astype("int32")


def flops(case: Case) -> float:
    """Return the FLOPs of the matrix products in `ConvBertBackbone`.

    A training step counts as three forward passes.
    """
    config = config_of(case.size)
    width, inner = config["hidden_dim"], config["intermediate_dim"]
    groups = config.get("num_groups", 1)
    branch = width // 2
    taps = 9
    projections = 5 * width * branch + width * width
    attention = 2 * case.length * branch
    kernels = branch * (branch // (width // config["num_heads"])) * taps
    feed_forward = 2 * width * inner / groups
    per_token = projections + attention + kernels + feed_forward
    tokens = case.batch * case.length
    passes = 3 if case.phase == "training" else 1
    return 2.0 * passes * tokens * config["num_layers"] * per_token
