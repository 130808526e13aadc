"""Many threads ask one loaded servable."""

import gc
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
import tensorflow as tf

THREADS = 8
REQUESTS = 2000
# Of what allocators keep; a leak of a request's tensors is many times more.
GROWTH = 100 * 2**20
WORDS = "a the good bad film films cafe !".split()


@pytest.mark.once
def test_answers_are_right_and_memory_is_flat(served):
    serve = served("classifier")[1].signatures["text"]
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=n % 40)) for n in range(200)]
    wanted = serve(text=tf.constant(texts))["logits"].numpy()

    def ask(number):
        mine = random.Random(number)
        rows = mine.choices(range(len(texts)), k=mine.choice([1, 1, 2, 7, 32]))
        found = serve(text=tf.constant([texts[row] for row in rows]))["logits"]
        np.testing.assert_allclose(found, wanted[rows], atol=2e-6)

    process = psutil.Process()
    with ThreadPoolExecutor(THREADS) as threads:
        [*threads.map(ask, range(REQUESTS // 4))]
        gc.collect()
        before = process.memory_info().rss
        [*threads.map(ask, range(REQUESTS))]
    gc.collect()
    assert process.memory_info().rss < before + GROWTH
