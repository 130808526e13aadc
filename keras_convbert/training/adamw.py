from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_convbert.training import fused_adam
from keras_convbert.training import per_backend
from keras_convbert.training.layerwise_decay import LayerwiseDecay
from keras_convbert.types import Config
from keras_convbert.types import Tensor


@keras.saving.register_keras_serializable(package="keras_convbert")
class AdamW(keras.optimizers.AdamW):
    """Adam with decoupled weight decay, with the defaults of the authors.

    It differs from `keras.optimizers.AdamW` in four more ways:

    - The weights without decay are an argument, so they survive saving.
    - On TensorFlow the gradients of an embedding row are summed before the
      step. Keras makes a step per occurrence: a row that occurs 64 times in a
      batch moves 8 times too far.
    - If a gradient is not finite, `global_clipnorm` sets the weight of that
      gradient alone to NaN, not all weights, so that `BackupAndResume` can
      name it.
    - On JAX, a model trained with `use_ema=True` can predict, train on and be
      saved. The optimizers of Keras leave weights and averages in the same
      arrays, which the next prediction deletes.

    Args:
        learning_rate: float, or a learning-rate schedule. Defaults to
            `0.0005`.
        weight_decay: float. Fraction of each weight that a step removes at a
            learning rate of 1. Defaults to `0.01`.
        beta_1: float. Decay of the mean gradient. Defaults to `0.9`.
        beta_2: float. Decay of the mean squared gradient. Defaults to
            `0.999`.
        epsilon: float. Added to the root of the mean squared gradient.
            Defaults to `1e-06`.
        global_clipnorm: float. Maximum norm of all gradients together. `None`
            turns clipping off; `clipnorm` and `clipvalue` need it. Defaults to
            `1.0`.
        no_weight_decay: sequence of strings. A weight does not decay if its
            name contains one of them. Defaults to
            `("bias", "gamma", "beta")`.
        bias_correction: bool. Whether to correct the two means for their start
            at zero. The code of the authors does not. Defaults to `True`.
        layerwise_decay: a `LayerwiseDecay`, for lower learning rates in lower
            layers; `None` gives all layers the same. Defaults to `None`.
        **kwargs: arguments of `keras.optimizers.AdamW`.

    Raises:
        ValueError: if `no_weight_decay` is not a sequence of strings, or
            `layerwise_decay` is not a `LayerwiseDecay`.

    Example:

    ```python
    import keras
    from keras_convbert.training import AdamW

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile(optimizer=AdamW(learning_rate=1e-3), loss="mse")
    ```

    Reference:
        - [Decoupled Weight Decay Regularization](
          https://arxiv.org/abs/1711.05101), algorithm 2
    """

    def __init__(
        self,
        learning_rate: Any = 0.0005,
        weight_decay: float = 0.01,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-06,
        global_clipnorm: float | None = 1.0,
        no_weight_decay: Sequence[str] = ("bias", "gamma", "beta"),
        bias_correction: bool = True,
        layerwise_decay: LayerwiseDecay | None = None,
        **kwargs: Any,
    ) -> None:
        if (
            isinstance(no_weight_decay, str)
            or not isinstance(no_weight_decay, Sequence)
            or not all(isinstance(name, str) for name in no_weight_decay)
        ):
            raise ValueError(
                "Invalid value for argument `no_weight_decay`. Expected a "
                "sequence of strings. "
                f"Received: no_weight_decay={no_weight_decay!r}"
            )
        if not isinstance(layerwise_decay, LayerwiseDecay | None):
            raise ValueError(
                "Invalid value for argument `layerwise_decay`. Expected a "
                "`LayerwiseDecay` or None. "
                f"Received: layerwise_decay={layerwise_decay!r}"
            )
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            global_clipnorm=global_clipnorm,
            **kwargs,
        )
        self.bias_correction = bias_correction
        self.layerwise_decay = layerwise_decay
        self.weight_decay: float = weight_decay
        self.no_weight_decay = tuple(no_weight_decay)
        self.exclude_from_weight_decay(var_names=self.no_weight_decay)
        self._scales: tuple[Tensor, ...] = ()
        self._has_kernel = False

    def build(self, variables: Sequence[keras.Variable]) -> None:
        super().build(variables)
        self._has_kernel = not self.amsgrad and all(
            keras.backend.standardize_dtype(variable.dtype) == "float32"
            for variable in variables
        )

    @per_backend.not_compiled
    def apply(self, *args: Any, **kwargs: Any) -> Any:
        return super().apply(*args, **kwargs)

    def _clip_gradients(self, grads: list[Tensor]) -> list[Tensor]:
        grads = [
            None if grad is None else per_backend.dense_gradient(grad)
            for grad in grads
        ]
        if not self.global_clipnorm or self.clipnorm:
            return super()._clip_gradients(grads)
        present = [grad for grad in grads if grad is not None]
        if self._has_kernel and per_backend.on_eager_torch():
            norms = ops.stack(fused_adam.squared_norms(present))
            scales = _nan_unless_finite(norms, self._scale_to_clip(norms))
            # The step scales them in chunks. At once they would take as much
            # memory as all weights.
            self._scales = (*ops.unstack(scales, num=len(present)),)
            return grads
        squares = [ops.sum(ops.square(grad)) for grad in present]
        scale = self._scale_to_clip(ops.stack(squares))
        # One norm at a time: indexing a vector doubles XLA's compile time.
        scales = iter([_nan_unless_finite(one, scale) for one in squares])
        return [grad if grad is None else grad * next(scales) for grad in grads]

    def _scale_to_clip(self, squares: Tensor) -> Tensor:
        """Returns the factor that clips the norm of all gradients.

        Gradients whose own norm is not finite are left out of the norm.
        """
        finite = ops.isfinite(squares)
        norm = ops.sqrt(ops.sum(ops.where(finite, squares, 0.0)))
        scale = self.global_clipnorm * ops.minimum(
            1.0 / norm, 1.0 / self.global_clipnorm
        )
        return ops.cast(scale, squares.dtype)

    def _backend_update_step(
        self,
        grads: list[Tensor],
        trainable_variables: list[keras.Variable],
        learning_rate: Tensor,
    ) -> None:
        rate = learning_rate
        fused = per_backend.on_eager_torch() or per_backend.on_tensorflow()
        if self._has_kernel and fused and self.bias_correction:
            # One division in place of one per weight.
            rate = rate / self._uncorrected()
        if not (self._has_kernel and per_backend.on_eager_torch()):
            super()._backend_update_step(grads, trainable_variables, rate)
            return
        scales = self._scales or (None,) * len(grads)
        self._scales = ()
        by_fraction: dict[float, list[fused_adam.Weight]] = {}
        for gradient, variable, scale in zip(
            grads, trainable_variables, scales, strict=True
        ):
            number = self._get_variable_index(variable)
            weight = fused_adam.Weight(
                variable.value,
                gradient,
                scale,
                self._momentums[number].value,
                self._velocities[number].value,
            )
            by_fraction.setdefault(self._scale(variable), []).append(weight)
        for fraction, weights in by_fraction.items():
            fused_adam.step(
                weights,
                rate=rate * fraction,
                beta_1=self.beta_1,
                beta_2=self.beta_2,
                epsilon=self.epsilon,
            )

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        # TensorFlow calls it. The sum over replicas has a custom gradient,
        # which would keep the graph until the process ends.
        if per_backend.has_one_tensorflow_replica():
            return grads_and_vars
        return super()._all_reduce_sum_gradients(grads_and_vars)

    def update_step(
        self, gradient: Tensor, variable: keras.Variable, learning_rate: Tensor
    ) -> None:
        learning_rate = learning_rate * self._scale(variable)
        if self._has_kernel and per_backend.on_tensorflow():
            number = self._get_variable_index(variable)
            fused_adam.step_on_tensorflow(
                variable,
                self._momentums[number].value,
                self._velocities[number].value,
                gradient,
                learning_rate,
                self.beta_1,
                self.beta_2,
                self.epsilon,
            )
            return
        if not self.bias_correction:
            learning_rate = learning_rate * self._uncorrected()
        super().update_step(gradient, variable, learning_rate)

    def finalize_variable_values(
        self, var_list: Sequence[keras.Variable]
    ) -> None:
        super().finalize_variable_values(var_list)
        if self.use_ema:
            # Keras assigned the averages to them.
            per_backend.unshare(var_list)

    def _uncorrected(self) -> Tensor:
        """Returns the inverse of the factor that corrects the bias."""
        step = ops.cast(self.iterations + 1, "float32")
        return (1 - ops.power(self.beta_1, step)) / ops.sqrt(
            1 - ops.power(self.beta_2, step)
        )

    def _scale(self, variable: keras.Variable) -> float:
        """Returns the factor for the learning rate of a variable.

        The variable may be one of the backend.
        """
        if self.layerwise_decay is None:
            return 1.0
        number = self._get_variable_index(variable)
        return self.layerwise_decay.scale(
            self._trainable_variables[number].path
        )

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        by_scale: dict[float, list[keras.Variable]] = {}
        for variable in variables:
            if self._use_weight_decay(variable):
                scale = self._scale(variable)
                by_scale.setdefault(scale, []).append(variable)
        weight_decay = self.weight_decay
        for scale, group in by_scale.items():
            self.weight_decay = weight_decay * scale
            super()._apply_weight_decay(group)
        self.weight_decay = weight_decay

    def get_config(self) -> Config:
        config = super().get_config()
        return {
            **config,
            "no_weight_decay": list(self.no_weight_decay),
            "bias_correction": self.bias_correction,
            "layerwise_decay": keras.saving.serialize_keras_object(
                self.layerwise_decay
            ),
        }

    @classmethod
    def from_config(cls, config: Config, custom_objects: Any = None) -> "AdamW":
        decay = config.get("layerwise_decay")
        if isinstance(decay, dict):
            decay = keras.saving.deserialize_keras_object(decay)
        return super().from_config(
            {**config, "layerwise_decay": decay}, custom_objects
        )


def _nan_unless_finite(squares: Tensor, scale: Tensor) -> Tensor:
    """Returns `scale`, or NaN for a gradient whose own norm is not finite.

    Keras turns all gradients into NaN, which hides the first one.
    """
    return ops.where(ops.isfinite(squares), scale, float("nan"))
