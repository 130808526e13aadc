"""Training under `tf.distribute`."""

from typing import Any

import keras

from keras_convbert.types import Mixin


class DistributedBuild(Mixin):
    """Builds a task from one replica's part of the first batch.

    Keras averages the parts of all replicas, which fails for bool inputs such
    as padding masks.
    """

    def _maybe_symbolic_build(
        self, iterator: Any = None, data_batch: Any = None
    ) -> None:
        strategy = getattr(self, "_distribute_strategy", None)
        if strategy is not None and iterator is not None:
            _, _, batches = next(iter(iterator))
            data_batch = keras.tree.map_structure(
                lambda part: strategy.experimental_local_results(part)[0],
                next(batches),
            )
            iterator = None
        super()._maybe_symbolic_build(iterator, data_batch)
