import time
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

# Square, large enough for a machine to show its rate.
MATRIX = 1024
# Seconds that a step is to take at most, and the steps to take at least.
STEP_SECONDS = 3.0
TIMED_SECONDS = 2.0
STEPS = 3


class StepTime(NamedTuple):
    """How long a step takes."""

    seconds: float
    """Of a whole batch, in proportion where fewer rows were timed."""
    rows: int
    steps: int


def time_step(
    pretrainer: Any,
    batch_size: int,
    sequence_length: int,
    row_flops: int,
) -> StepTime:
    """Times some steps of a model on random tokens; it is trained by them.

    Args:
        pretrainer: a compiled `ConvBertPretrainer`.
        batch_size: int. Sequences in a step of the training. Where a step
            would take long, fewer are taken.
        sequence_length: int. Tokens of a sequence.
        row_flops: int. FLOPs of a training step for one sequence.
    """
    # Models reach half of the rate of products, at best.
    rows = int(matmul_rate() / 2 * STEP_SECONDS / row_flops)
    rows = max(1, min(rows, batch_size))
    highest = pretrainer.backbone.vocabulary_size

    def seconds(steps: int) -> float:
        shape = (steps * rows, sequence_length)
        token_ids = np.random.default_rng(0).integers(0, highest, shape)
        inputs = {
            "token_ids": token_ids.astype("int32"),
            "segment_ids": np.zeros(shape, "int32"),
            "padding_mask": np.ones(shape, "int32"),
        }
        start = time.perf_counter()
        pretrainer.fit(inputs, batch_size=rows, verbose=0)
        return time.perf_counter() - start

    seconds(1)  # compiles
    steps, taken = STEPS, seconds(STEPS)
    if taken < TIMED_SECONDS:
        steps = min(100, int(STEPS * TIMED_SECONDS / taken))
        taken = seconds(steps)
    return StepTime(taken / steps * batch_size / rows, rows, steps)


def matmul_rate() -> float:
    """FLOPs a second of a product of matrices."""
    matrix = keras.ops.ones((MATRIX, MATRIX))
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        product = keras.ops.matmul(matrix, matrix)
        keras.ops.convert_to_numpy(product[0, 0])  # waits for it
        times.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / min(times)
