from typing import Any

import keras

from keras_convbert.types import Config
from keras_convbert.types import Constraint
from keras_convbert.types import Initializer
from keras_convbert.types import Regularizer


class WeightOptions(keras.layers.Layer):
    """Base that holds the options of kernels and biases, and their config."""

    def __init__(
        self,
        kernel_initializer: Initializer,
        bias_initializer: Initializer,
        kernel_regularizer: Regularizer,
        bias_regularizer: Regularizer,
        kernel_constraint: Constraint,
        bias_constraint: Constraint,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if kernel_initializer is None:
            kernel_initializer = keras.initializers.TruncatedNormal(stddev=0.02)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)

    def _weight_options(self) -> dict[str, Any]:
        """The arguments of a child layer, with initializers of its own."""
        return {
            "kernel_initializer": clone_initializer(self.kernel_initializer),
            "bias_initializer": clone_initializer(self.bias_initializer),
            "kernel_regularizer": self.kernel_regularizer,
            "bias_regularizer": self.bias_regularizer,
            "kernel_constraint": self.kernel_constraint,
            "bias_constraint": self.bias_constraint,
        }

    def _kernel_options(self) -> dict[str, Any]:
        """The arguments of `add_weight` for a kernel of this layer."""
        return {
            "initializer": clone_initializer(self.kernel_initializer),
            "regularizer": self.kernel_regularizer,
            "constraint": self.kernel_constraint,
        }

    def _bias_options(self) -> dict[str, Any]:
        """The arguments of `add_weight` for a bias of this layer."""
        return {
            "initializer": clone_initializer(self.bias_initializer),
            "regularizer": self.bias_regularizer,
            "constraint": self.bias_constraint,
        }

    def get_config(self) -> Config:
        config = super().get_config()
        for name in ("kernel", "bias"):
            config[f"{name}_initializer"] = keras.initializers.serialize(
                getattr(self, f"{name}_initializer")
            )
            config[f"{name}_regularizer"] = keras.regularizers.serialize(
                getattr(self, f"{name}_regularizer")
            )
            config[f"{name}_constraint"] = keras.constraints.serialize(
                getattr(self, f"{name}_constraint")
            )
        return config


def clone_initializer(initializer: Initializer) -> Initializer:
    """Returns a copy of a Keras initializer, with its own seed.

    A Keras initializer returns the same values at each call, so that two
    weights of the same shape and initializer would be equal.
    """
    if not isinstance(initializer, keras.initializers.Initializer):
        return initializer
    return initializer.__class__.from_config(initializer.get_config())
