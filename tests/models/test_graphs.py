"""Functional models that users make on the graphs of tasks and backbones."""

import inspect

import keras
import numpy as np
import pytest

import keras_convbert
from keras_convbert.compat import flatten_layers
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models.presets.family import task_classes

SIZES = {
    "vocabulary_size": 12,
    "num_layers": 1,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 8,
    "embedding_dim": 4,
    "kernel_size": 3,
    "max_sequence_length": 8,
}
# Values for the required arguments of tasks, and options with other graphs.
ARGUMENTS = {"num_classes": 3, "labels": ["O", "B-X", "I-X"]}
IDS = {"mask_token_id": 4, "special_token_ids": [0, 2, 3, 4]}
OPTIONS = {
    "text_classifier": [{}, {"head": "dense"}],
    "question_answerer": [{}, {"head": "joint"}],
    "pretrainer": [{**IDS, "generator_scale": 0.5, "seed": 1}],
}
PACKED = [False, True]


def backbone(packed):
    return ConvBertBackbone(packed=packed, **SIZES)


def graphs():
    """Functions that make each backbone and task, packed and not."""
    for packed in PACKED:
        yield pytest.param(
            lambda packed=packed: backbone(packed), id=f"backbone-{packed}"
        )
        for cls in task_classes(ConvBertBackbone):
            for options in OPTIONS.get(cls.task_kind, [{}]):
                head = options.get("head", "")
                yield pytest.param(
                    lambda cls=cls, packed=packed, options=options: task(
                        cls, packed, options
                    ),
                    id=f"{cls.task_kind}{head}-{packed}",
                )


def task(cls, packed, options):
    required = {
        name: ARGUMENTS[name]
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is inspect.Parameter.empty and name in ARGUMENTS
    }
    return cls(backbone(packed), compile=False, **{**required, **options})


def with_new_head(model):
    """A plain model of all outputs of a model and of a head on one."""
    outputs = model.output
    outputs = outputs if isinstance(outputs, dict) else {"output": outputs}
    outputs = {
        name: value
        for name, value in outputs.items()
        if keras.backend.is_float_dtype(value.dtype)
    }
    name = next(n for n in ("sequence_output", "rtd_logits", *outputs) if n in outputs)
    x = outputs[name]
    if len(x.shape) == 2:
        x = keras.ops.expand_dims(x, -1)
    new = keras.layers.Dense(2, name="new_head")(x)
    return keras.Model(model.input, {**outputs, "new": new})


def inputs(model):
    rng = np.random.default_rng(0)
    mask = np.array([[1] * 6, [1, 1, 1, 1, 0, 0]])
    arrays = {
        "token_ids": rng.integers(5, 12, (2, 6)) * mask,
        "segment_ids": np.zeros((2, 6)),
        "padding_mask": mask,
        "mask_positions": np.array([[1, 2], [3, 0]]),
    }
    return {name: arrays[name].astype("int32") for name in model.input}


def outputs(model):
    found = model(inputs(model), training=False)
    return {k: keras.ops.convert_to_numpy(v) for k, v in found.items()}


def assert_equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("make", graphs())
def test_a_model_on_each_graph_is_saved_cloned_and_trained(make, tmp_path):
    model = with_new_head(make())
    wanted = outputs(model)
    model.save(tmp_path / "model.keras")

    loaded = keras.saving.load_model(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    rebuilt = keras.Model.from_config(model.get_config())
    shapes = [tuple(weight.shape) for weight in model.weights]
    for copy in (loaded, clone, rebuilt):
        # Tied weights are one variable, in a copy too.
        assert [tuple(weight.shape) for weight in copy.weights] == shapes
        paths = [weight.path for weight in copy.trainable_weights]
        assert len(paths) == len({*paths})
        if copy is not loaded:
            copy.set_weights(model.get_weights())
        assert_equal(outputs(copy), wanted)
    own = {id(weight) for weight in model.weights}
    assert not own & {id(weight) for weight in clone.weights}
    train_one_step(loaded)
    changed = outputs(loaded)
    assert any((changed[name] != wanted[name]).any() for name in wanted)


def train_one_step(model):
    losses = dict.fromkeys(model.output, None)
    losses["new"] = "mse"
    model.compile("sgd", loss=losses, run_eagerly=True)
    x = inputs(model)
    y = {
        name: np.ones(value.shape, "float32")
        for name, value in outputs(model).items()
    }
    model.fit(x, y, verbose=0)
