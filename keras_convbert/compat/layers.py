"""Private attributes of Keras layers and of KerasHub backbones."""

import keras
import keras_hub


def flatten_layers(
    layer: keras.layers.Layer, include_self: bool = True
) -> list[keras.layers.Layer]:
    """Returns a layer and all layers inside it, each once."""
    layers: list[keras.layers.Layer] = layer._flatten_layers(
        include_self=include_self
    )
    return layers


def child_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Returns the direct children of a layer.

    Which attributes of a functional model Keras tracks as layers depends on
    the backend. The layers of its graph do not, so a model returns those.
    """
    if isinstance(layer, keras.Model):
        return [*layer.layers]
    return [*layer._layers]


def merge_lora(layer: keras.layers.Layer) -> None:
    """Adds the update of LoRA to the weight of a layer, and sets it to zero.

    A layer without LoRA, and a quantized layer, stay unchanged.
    """
    if not getattr(layer, "lora_enabled", False) or layer.quantization_mode:
        return
    name = "embeddings" if hasattr(layer, "embeddings") else "kernel"
    getattr(layer, f"_{name}").assign(getattr(layer, name))
    update = getattr(layer, f"lora_{name}_b")
    update.assign(keras.ops.zeros(update.shape, update.dtype))


def was_built(layer: keras.layers.Layer) -> bool:
    """Returns whether `build` of a layer was called.

    The attribute `built` may be true without it.
    """
    return layer._build_shapes_dict is not None


def seed_generators(
    layer: keras.layers.Layer,
) -> list[keras.random.SeedGenerator]:
    """Returns the seed generators that a layer itself owns."""
    return [*getattr(layer, "_seed_generators", ())]


def lora_layer_numbers(backbone: keras_hub.models.Backbone) -> list[int]:
    """Returns the numbers of the layers with LoRA, `[]` if it is disabled.

    KerasHub numbers the layers of `flatten_layers(backbone, False)` that have
    weights.
    """
    return [*getattr(backbone, "_lora_enabled_layers", ())]


def lora_rank(backbone: keras_hub.models.Backbone) -> int | None:
    """Returns the rank of LoRA, `None` if it is disabled."""
    return getattr(backbone, "_lora_rank", None)
