"""Pretraining by `fit`, and by its compiled step alone, in one process.

A worker imports this module before its backend is set, so the module itself
imports neither Keras nor a backend.
"""

import itertools
import pathlib
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import cases

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SYNTHETIC_LINES = 20_000
WORDS_OF_LINE = 20


class Pretraining:
    """The arms of one process."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._arms: dict[str, _Arm] = {}

    def prepare(
        self,
        shards: str,
        length: int,
        corpus: list[str] | None,
        vocabulary: str | None,
    ) -> None:
        """Write shards of a corpus, or of synthetic text without a corpus."""
        from keras_convbert import data
        from keras_convbert import models

        with tempfile.TemporaryDirectory() as folder:
            if corpus is None or vocabulary is None:
                corpus, vocabulary = _synthetic(pathlib.Path(folder))
            tokenizer = models.ConvBertTokenizer(vocabulary)
            data.prepare(corpus, tokenizer, shards, length, progress=False)

    def make(
        self,
        name: str,
        size: str,
        shards: str,
        batch: int,
        compiled: bool,
        dtype: str,
    ) -> dict[str, Any]:
        """Make a pretrainer and run two steps; the first compiles."""
        start = time.perf_counter()
        kinds = {
            "torch": _Arm,
            "jax": _OnJax,
            "tensorflow": _OnTensorFlow,
        }
        arm = kinds[self._backend](size, dtype, shards, batch, compiled)
        self._arms[name] = arm
        arm.fit(2)
        arm.bare(2)
        return {
            "parameters": arm.pretrainer.backbone.count_params(),
            "first_calls_s": round(time.perf_counter() - start, 1),
        }

    def fit(self, name: str, steps: int) -> float:
        """Return the milliseconds per step of `fit`, all overhead included."""
        return _by_step(self._arms[name].fit, steps)

    def bare(self, name: str, steps: int) -> float:
        """Return the milliseconds of the compiled step on a fixed batch."""
        return _by_step(self._arms[name].bare, steps)


def _by_step(run: Any, steps: int) -> float:
    # The first step after another process has run is slower.
    run(1)
    start = time.perf_counter()
    run(steps)
    return 1e3 * (time.perf_counter() - start) / steps


def new_pretrainer(size: str, dataset: Any, dtype: str, **others: Any) -> Any:
    """Return a pretrainer for a dataset; `others` go to its backbone."""
    from keras_convbert import models

    config = {**cases.config_of(size), **others, "dtype": dtype}
    config["vocabulary_size"] = dataset.vocabulary_size
    return models.ConvBertPretrainer(
        models.ConvBertBackbone(**config),
        mask_token_id=dataset.mask_token_id,
        special_token_ids=dataset.special_token_ids,
        seed=0,
    )


class _Arm:
    """A pretrainer, its dataset, and one batch on the device."""

    def __init__(
        self, size: str, dtype: str, shards: str, batch: int, compiled: bool
    ) -> None:
        import keras

        from keras_convbert import data
        from keras_convbert.training import AdamW

        self._data = data.PretrainingDataset(shards, batch)
        self.pretrainer = new_pretrainer(size, self._data, dtype)
        self.pretrainer.compile(AdamW(1e-4), jit_compile=compiled)
        first = self._data.batch(epoch=0, index=0)
        self._batch = {
            name: keras.ops.convert_to_tensor(array)
            for name, array in first.items()
        }

    def fit(self, steps: int) -> None:
        self.pretrainer.fit(self._data, steps_per_epoch=steps, verbose=0)

    def bare(self, steps: int) -> None:
        for _ in range(steps):
            logs = self.pretrainer.train_function([self._batch])
        float(logs["loss"])


class _OnJax(_Arm):
    def bare(self, steps: int) -> None:
        import jax

        model = self.pretrainer
        state = model._get_jax_state(
            trainable_variables=True,
            non_trainable_variables=True,
            optimizer_variables=True,
            metrics_variables=True,
        )
        batches: Iterator[Any] = itertools.repeat(self._batch)
        for _ in range(steps):
            logs, state = model.train_function(state, batches)
        jax.block_until_ready((logs, state))
        # The step donates the old state, so the variables take the new one.
        for variables, values in zip(
            (
                model.trainable_variables,
                model.non_trainable_variables,
                model.optimizer.variables,
                model.metrics_variables,
            ),
            state,
            strict=True,
        ):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)


class _OnTensorFlow(_Arm):
    def bare(self, steps: int) -> None:
        import tensorflow as tf

        from keras_convbert.compat import without_autotune

        whole = tf.data.Dataset.from_tensors(self._batch).repeat()
        batches = iter(without_autotune(whole))
        for _ in range(steps):
            logs = self.pretrainer.train_function(batches)
        logs["loss"].numpy()


def _synthetic(folder: pathlib.Path) -> tuple[list[str], str]:
    """Write lines of random words from the vocabulary."""
    import numpy as np

    words = [f"word{i}" for i in range(30522 - len(SPECIAL))]
    vocabulary = folder / "vocabulary.txt"
    vocabulary.write_text("\n".join([*SPECIAL, *words]) + "\n")
    rng = np.random.default_rng(0)
    shape = (SYNTHETIC_LINES, WORDS_OF_LINE)
    numbers = rng.integers(0, len(words), shape)
    lines = [" ".join(words[n] for n in line) for line in numbers]
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(lines) + "\n")
    return [str(corpus)], str(vocabulary)
