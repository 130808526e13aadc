"""Private state of `fit`: its iterator over the data, and the model's."""

import contextlib
import sys
from types import FrameType
from typing import Any

import keras
from keras.src.trainers.data_adapters.generator_data_adapter import (
    GeneratorDataAdapter,
)
from keras.src.trainers.epoch_iterator import EpochIterator

from keras_convbert.compat.backends import weak_method

CACHED_EVALUATION = "_use_cached_eval_dataset"
"""Argument by which `fit` evaluates on validation data that it has read."""


def find_in_callers(kind: type, name: str) -> Any:
    """Finds an instance of `kind` named `name` in a caller's frame.

    Keras gives a callback neither the other callbacks nor the data.

    Returns:
        The object of the nearest caller that has one, else `None`.
    """
    frame = sys._getframe(1)
    while frame is not None:
        value = frame.f_locals.get(name)
        if isinstance(value, kind):
            return value
        frame = frame.f_back  # type: ignore[assignment]
    return None


def dataset_of_stream(adapter: GeneratorDataAdapter) -> Any:
    """Returns a `tf.data` dataset of an adapter, which it does not own.

    Args:
        adapter: a `GeneratorDataAdapter` with a method `batches`, which
            returns an iterator.
    """
    # The method of Keras refers to its adapter in the generator.
    other = GeneratorDataAdapter(adapter._first_batches)
    other.generator = weak_method(adapter.batches)
    dataset = other.get_tf_dataset()
    other._first_batches = []
    return dataset


def is_running(iterator: EpochIterator) -> bool:
    """Returns whether `fit` runs with this iterator, in any thread.

    What `fit` raised keeps its frame and its iterator, but runs no more.
    """
    for current in sys._current_frames().values():
        frame: FrameType | None = current
        while frame is not None:
            if frame.f_locals.get("epoch_iterator") is iterator:
                return True
            frame = frame.f_back
    return False


def open_iterator(iterator: EpochIterator, steps_seen: int) -> None:
    """Opens the iterator over the data before `fit` does.

    `fit` keeps it open across epochs where `steps_per_epoch` is set, and opens
    the next one once it has taken as many steps as the data has.

    Args:
        iterator: the `EpochIterator` of `fit`.
        steps_seen: int. Steps that count as taken already.
    """
    iterator._current_iterator = iter(iterator._get_iterator())
    iterator._steps_seen = steps_seen


def skip_steps(iterator: EpochIterator, steps: int) -> None:
    """Starts the step numbers of the next epoch at `steps`.

    No batch is read for the steps that are skipped.
    """
    enumerate_all = iterator._enumerate_iterator

    def enumerate_rest() -> Any:
        del iterator._enumerate_iterator
        numbered = enumerate_all()
        for _ in range(0, steps, iterator.steps_per_execution):
            next(numbered)
        yield from numbered

    iterator._enumerate_iterator = enumerate_rest


def set_initial_epoch(model: keras.Model, epoch: int | None) -> None:
    """Sets the epoch at which `fit` starts; `None` leaves it to its argument.

    It stays set until it is set to `None` again.
    """
    model._initial_epoch = epoch


def build_optimizer(model: keras.Model) -> None:
    """Creates the variables of a model's optimizer, as `fit` does.

    Under `tf.distribute` they must be created in the scope of the model.
    """
    strategy = getattr(model, "distribute_strategy", None)
    scope = strategy.scope() if strategy else contextlib.nullcontext()
    with scope:
        model.optimizer.build(model.trainable_variables)


def build_for_training(model: keras.Model, iterator: EpochIterator) -> None:
    """Creates all variables of a model, its optimizer and its metrics.

    Args:
        model: a compiled model.
        iterator: the `EpochIterator` of `fit`, which it resets.
    """
    model._symbolic_build(iterator=iterator)
    iterator.reset()


def validation_data(model: keras.Model) -> Any:
    """Returns the data adapter of the validation in `fit`, or `None`."""
    iterator = getattr(model, "_eval_epoch_iterator", None)
    return getattr(iterator, "data_adapter", None)


def jax_training_state(model: keras.Model) -> dict[str, Any] | None:
    """Returns the state that a JAX model trains on.

    Between two steps of `fit` the variables of the model are empty, and this
    has their values. It is `None` while the variables hold them.
    """
    state: dict[str, Any] | None = getattr(model, "_jax_state", None)
    return None if not state or model._jax_state_synced else state
