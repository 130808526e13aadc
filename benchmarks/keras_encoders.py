"""Keras encoders, ours and those of KerasHub, on the backend of the process."""

from typing import Any

import cases
import keras
from keras import ops


def made(arm: cases.Arm, case: cases.Case, config: dict[str, Any]) -> Any:
    model = _model(arm.model, case, config)
    ids = cases.token_ids(case, config["vocabulary_size"])
    inputs = {
        "token_ids": ops.convert_to_tensor(ids),
        "segment_ids": ops.zeros(ids.shape, "int32"),
        "padding_mask": ops.ones(ids.shape, "int32"),
    }
    optimizer = None
    if case.phase == "training":
        from keras_convbert.training import AdamW

        optimizer = AdamW(1e-5)
        optimizer.build(model.trainable_variables)
    kinds = {"torch": _on_torch, "jax": OnJax, "tensorflow": OnTensorFlow}
    return kinds[arm.backend](model, inputs, optimizer, arm.mode)


def _model(kind: str, case: cases.Case, config: dict[str, Any]) -> keras.Model:
    # Training keeps float32 weights, as PyTorch autocast does.
    dtype = case.dtype
    if dtype != "float32" and case.phase == "training":
        dtype = f"mixed_{dtype}"
    if kind == "ours":
        from keras_convbert.models import ConvBertBackbone

        backbone = ConvBertBackbone(**config, dtype=dtype)
    else:
        import keras_hub

        others = ("embedding_dim", "num_groups")
        shared = {k: v for k, v in config.items() if k not in others}
        backbone = keras_hub.models.BertBackbone(**shared, dtype=dtype)
    return keras.Model(backbone.input, backbone.output["sequence_output"])


def _loss(outputs: Any) -> Any:
    return ops.mean(ops.square(ops.cast(outputs, "float32")))


def _on_torch(
    model: keras.Model, inputs: dict[str, Any], optimizer: Any, mode: str
) -> Any:
    import torch_encoders

    return torch_encoders.KerasArm(model, inputs, optimizer, mode, _loss)


class OnJax:
    """A compiled forward pass or step that takes and returns its state."""

    def __init__(
        self,
        model: keras.Model,
        inputs: dict[str, Any],
        optimizer: Any,
        mode: str,
    ) -> None:
        import jax

        del mode
        self.parameters = model.count_params()
        self._inputs = inputs
        self._state = [
            [v.value for v in variables]
            for variables in (
                model.trainable_variables,
                model.non_trainable_variables,
                optimizer.variables if optimizer else [],
            )
        ]
        function = _jax_step(model, optimizer) if optimizer else _jax(model)
        compiled = jax.jit(function, donate_argnums=0 if optimizer else ())
        self._function = compiled.lower(self._state, inputs).compile()
        analysis = self._function.memory_analysis()
        self.temporary = analysis.temp_size_in_bytes if analysis else None
        self._training = optimizer is not None

    def run(self) -> None:
        made = self._function(self._state, self._inputs)
        if self._training:
            made, self._state = made
        self._made = made

    def wait(self) -> None:
        import jax

        jax.block_until_ready((self._made, self._state))

    def device_memory(self) -> float | None:
        import jax

        told = jax.devices()[0].memory_stats()
        if jax.default_backend() == "cpu" or not told:
            return None
        # The peak belongs to the whole process and includes the weights.
        return round((told["peak_bytes_in_use"]) / 2**20, 1)

    def profile(self) -> list[dict[str, Any]]:
        return []


def _jax(model: keras.Model) -> Any:
    def forward(state: Any, inputs: dict[str, Any]) -> Any:
        return model.stateless_call(state[0], state[1], inputs, training=False)[
            0
        ]

    return forward


def _jax_step(model: keras.Model, optimizer: Any) -> Any:
    import jax

    def loss(learning: Any, others: Any, inputs: dict[str, Any]) -> Any:
        outputs, others = model.stateless_call(
            learning, others, inputs, training=True
        )
        return _loss(outputs), others

    def step(state: Any, inputs: dict[str, Any]) -> Any:
        learning, others, slots = state
        (value, others), gradients = jax.value_and_grad(loss, has_aux=True)(
            learning, others, inputs
        )
        learning, slots = optimizer.stateless_apply(slots, gradients, learning)
        return value, [learning, others, slots]

    return step


class OnTensorFlow:
    """A forward pass or step, as a graph or with XLA."""

    temporary = None

    def __init__(
        self,
        model: keras.Model,
        inputs: dict[str, Any],
        optimizer: Any,
        mode: str,
    ) -> None:
        import tensorflow as tf

        self.parameters = model.count_params()
        self._inputs = inputs

        def forward(inputs: dict[str, Any]) -> Any:
            return model(inputs, training=False)

        def step(inputs: dict[str, Any]) -> Any:
            with tf.GradientTape() as tape:
                loss = _loss(model(inputs, training=True))
            learning = model.trainable_weights
            gradients = tape.gradient(loss, [v.value for v in learning])
            optimizer.apply(gradients, learning)
            return loss

        self._function = tf.function(
            step if optimizer else forward, jit_compile=mode == "xla"
        )

    def run(self) -> None:
        self._made = self._function(self._inputs)

    def wait(self) -> None:
        self._made.numpy()

    def device_memory(self) -> float | None:
        return None

    def profile(self) -> list[dict[str, Any]]:
        return []
