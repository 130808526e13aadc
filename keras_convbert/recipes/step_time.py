import time
from typing import Any
from typing import NamedTuple

import keras
import numpy as np

# Size of a square matrix, large enough to measure the peak rate.
MATRIX = 1024
# Maximum seconds per step, minimum seconds in total, and minimum steps.
STEP_SECONDS = 3.0
TIMED_SECONDS = 2.0
STEPS = 3


class StepTime(NamedTuple):
    """The measured time per step."""

    seconds: float
    """Seconds per step of a full batch, scaled if fewer rows were timed."""
    rows: int
    steps: int


def time_step(
    pretrainer: Any,
    batch_size: int,
    sequence_length: int,
    row_flops: int,
) -> StepTime:
    """Times training steps on random tokens, which change the weights.

    Args:
        pretrainer: a compiled `ConvBertPretrainer`.
        batch_size: int. Sequences per step. If a step would take too long,
            fewer sequences are timed.
        sequence_length: int. Tokens per sequence.
        row_flops: int. FLOPs of a training step per sequence.
    """
    # Models reach at most half of the rate of a matrix product.
    rows = int(matmul_rate() / 2 * STEP_SECONDS / row_flops)
    rows = max(1, min(rows, batch_size))
    vocabulary_size = pretrainer.backbone.vocabulary_size

    def seconds(steps: int) -> float:
        shape = (steps * rows, sequence_length)
        generator = np.random.default_rng(0)
        token_ids = generator.integers(0, vocabulary_size, shape)
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
    """Returns the FLOPs per second of a matrix product."""
    matrix = keras.ops.ones((MATRIX, MATRIX))
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        product = keras.ops.matmul(matrix, matrix)
        keras.ops.convert_to_numpy(product[0, 0])  # waits for the product
        times.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / min(times)
