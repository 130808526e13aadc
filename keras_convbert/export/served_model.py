from typing import Any
from typing import NamedTuple
from typing import Self

import keras
import keras_hub

from keras_convbert.compat import flatten_layers
from keras_convbert.models.base.backbone import Backbone
from keras_convbert.models.base.input_checks import check_fits
from keras_convbert.types import Config
from keras_convbert.types import Tensor

REQUIRED = {"token_ids", "padding_mask"}
INPUTS = {*REQUIRED, "segment_ids"}


class Limits(NamedTuple):
    """The limits of the inputs of a model, under the names of a backbone."""

    vocabulary_size: int
    num_segments: int
    max_sequence_length: int


@keras.saving.register_keras_serializable(package="keras_convbert")
class ServedModel(keras.Model):
    """A functional model on the inputs of a backbone, with a preprocessor.

    Writers treat it as a task.

    Args:
        model: a functional `keras.Model` whose inputs are a dict.
        preprocessor: a preprocessor that returns those inputs, or `None`.
            Defaults to `None`.
        **kwargs: arguments of `keras.Model`.
    """

    task_kind = "functional"

    def __init__(
        self,
        model: keras.Model,
        preprocessor: keras_hub.models.Preprocessor | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model = model
        self.preprocessor = preprocessor
        self.built = True

    @property
    def input(self) -> dict[str, keras.KerasTensor]:
        return self.model.input

    @property
    def backbone(self) -> Limits:
        """The limits that a task reads from its backbone."""
        return input_limits(self.model)

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Any:
        return self.model(inputs, training=training)

    def get_config(self) -> Config:
        return {
            "name": self.name,
            "model": keras.saving.serialize_keras_object(self.model),
            "preprocessor": keras.saving.serialize_keras_object(
                self.preprocessor
            ),
        }

    @classmethod
    def from_config(cls, config: Config) -> Self:
        config = dict(config)
        for name in ("model", "preprocessor"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)


def served_model(model: Any, preprocessor: Any = None) -> Any:
    """Returns a model with all that writers read from it.

    A task or a backbone is returned unchanged.

    Args:
        model: the argument `model` of an export.
        preprocessor: its argument `preprocessor`. Defaults to `None`.

    Raises:
        ValueError: if a user's own model is not on the inputs of a backbone,
            or the preprocessor does not fit.
    """
    if hasattr(model, "task_kind"):
        if preprocessor is not None:
            raise ValueError(
                "Expected `preprocessor=None` for a backbone or a task, which "
                "has its own. "
                f"Received: preprocessor={preprocessor}, model={model}"
            )
        return model
    names = _input_names(model)
    if names is None:
        return model
    if not REQUIRED <= names <= INPUTS:
        raise ValueError(
            "Expected a model with the inputs of a backbone, such as "
            "`keras.Model(backbone.input, outputs)`, named "
            f"{sorted(INPUTS)}. Received: inputs={sorted(names)}"
        )
    limits = input_limits(model)
    if preprocessor is None:
        return ServedModel(model)
    _check_preprocessor(preprocessor, names)
    check_fits(limits, preprocessor)
    return ServedModel(model, preprocessor)


def input_limits(model: keras.Model) -> Limits:
    """Returns the limits of the inputs, from the layers of a model.

    The backbone may be a layer of the model, or its layers may be.

    Raises:
        ValueError: if the layers are neither.
    """
    layers = flatten_layers(model)
    backbones = [layer for layer in layers if isinstance(layer, Backbone)]
    if backbones:
        return Limits(
            min(each.vocabulary_size for each in backbones),
            min(getattr(each, "num_segments", 1) for each in backbones),
            min(each.max_sequence_length for each in backbones),
        )
    lengths = [
        layer.sequence_length
        for layer in layers
        if isinstance(layer, keras_hub.layers.PositionEmbedding)
    ]
    tokens = _rows(layers, model.input["token_ids"])
    if not lengths or tokens is None:
        raise ValueError(
            "Expected a model on a backbone, such as `keras.Model("
            "backbone.input, head(backbone.output[...]))`. Received: "
            f"model={model.name!r}, without an embedding of tokens or positions"
        )
    segments = _rows(layers, model.input.get("segment_ids"))
    return Limits(tokens, segments or 1, min(lengths))


def _rows(layers: list[keras.layers.Layer], tensor: Any) -> int | None:
    """Returns the rows of the embedding that looks up an input."""
    for layer in layers:
        if isinstance(layer, keras.layers.Embedding) and _reads(layer, tensor):
            return layer.input_dim
    return None


def _reads(layer: keras.layers.Layer, tensor: Any) -> bool:
    try:
        return layer.input is tensor
    except (AttributeError, ValueError):
        # The layer is not in a graph.
        return False


def _input_names(model: Any) -> set[str] | None:
    """Returns the names in a dict of inputs, `None` for other inputs."""
    if not isinstance(model, keras.Model):
        return None
    try:
        inputs = model.input
    except (AttributeError, ValueError):
        return None
    return {*inputs} if isinstance(inputs, dict) else None


def _check_preprocessor(preprocessor: Any, names: set[str]) -> None:
    outputs = None
    if isinstance(preprocessor, keras_hub.models.Preprocessor):
        outputs = preprocessor(x=["a"])
    if not isinstance(outputs, dict) or not names <= outputs.keys():
        raise ValueError(
            "Expected `preprocessor` to return the inputs of the model, as "
            "`ConvBertTextClassifierPreprocessor` does. "
            f"Received: preprocessor={preprocessor}, inputs={sorted(names)}"
        )
