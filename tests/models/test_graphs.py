"""Functional models that users make on the graphs of tasks and backbones."""

import inspect

import keras
import numpy as np
import pytest

from keras_convbert.compat import flatten_layers
from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertPretrainer
from keras_convbert.models import ConvBertQuestionAnswerer
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
ARGUMENTS = {"labels": ["O", "B-X", "I-X"]}
ARGUMENTS_OF = {"text_classifier": {"num_classes": 3}}
IDS = {
    "mask_token_id": 4,
    "special_token_ids": [0, 2, 3, 4],
    "generator_scale": 0.5,
    "seed": 1,
}
OPTIONS = {
    "text_classifier": [{}, {"head": "dense"}],
    "question_answerer": [{}, {"head": "joint"}],
    "text_embedder": [{}, {"pooling": "max"}],
    # Its graph uses the parts of the backbone.
    "pretrainer": [{}, {"packed": True}],
}


def backbone(**options):
    return ConvBertBackbone(**SIZES, **options)


def graphs():
    """Functions that make each backbone and task."""
    for packed in (False, True):
        yield pytest.param(
            lambda packed=packed: backbone(packed=packed),
            id="packed-backbone" if packed else "backbone",
        )
    for cls in task_classes(ConvBertBackbone):
        for options in OPTIONS.get(cls.task_kind, [{}]):
            yield pytest.param(
                lambda cls=cls, options=options: task(cls, **options),
                id="-".join([cls.task_kind, *map(str, options.values())]),
            )


def task(cls, packed=False, **options):
    required = {
        name: ARGUMENTS[name]
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.default is inspect.Parameter.empty and name in ARGUMENTS
    }
    arguments = {**required, **ARGUMENTS_OF.get(cls.task_kind, {}), **options}
    if cls.task_kind == "pretrainer":
        arguments.update(IDS)
    return cls(backbone(packed=packed), compile=False, **arguments)


def with_new_head(model):
    """A plain model of all outputs of a model and of a head on one."""
    outputs = model.output
    outputs = outputs if isinstance(outputs, dict) else {"output": outputs}
    outputs = {
        name: value
        for name, value in outputs.items()
        if keras.backend.is_float_dtype(value.dtype)
    }
    names = ("sequence_output", "rtd_logits", *outputs)
    x = outputs[next(name for name in names if name in outputs)]
    if len(x.shape) == 2:
        x = keras.ops.expand_dims(x, -1)
    new = keras.layers.Dense(2, name="new_head")(x)
    return keras.Model(model.input, {**outputs, "new": new})


def inputs(model):
    rng = np.random.default_rng(0)
    mask = np.array([[1] * 6, [1, 1, 1, 1, 0, 0]])
    arrays = {
        "token_ids": rng.integers(5, 12, (2, 6)) * mask,
        "segment_ids": np.arange(12).reshape(2, 6) % 2,
        "padding_mask": mask,
        "mask_positions": np.array([[1, 2], [3, 0]]),
    }
    found = {}
    for name, tensor in model.input.items():
        found[name] = arrays[name].astype("int32")
        if len(tensor.shape) == 3:
            found[name] = np.repeat(found[name][:, None], 3, 1)  # choices
    return found


def outputs(model):
    found = model(inputs(model), training=False)
    return {k: keras.ops.convert_to_numpy(v) for k, v in found.items()}


def assert_equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


@pytest.mark.parametrize("make", [*graphs()])
def test_a_model_on_each_graph_is_saved_cloned_and_trained(make, tmp_path):
    model = with_new_head(make())
    wanted = outputs(model)
    model.save(tmp_path / "model.keras")

    loaded = keras.saving.load_model(tmp_path / "model.keras")
    clone = keras.models.clone_model(model)
    shapes = [tuple(weight.shape) for weight in model.weights]
    for copy in (loaded, clone):
        # Tied weights are one variable, in a copy too.
        assert [tuple(weight.shape) for weight in copy.weights] == shapes
        paths = [weight.path for weight in copy.trainable_weights]
        assert len(paths) == len({*paths})
        if copy is clone:
            copy.set_weights(model.get_weights())
        assert_equal(outputs(copy), wanted)
    own = {id(weight) for weight in model.weights}
    assert not own & {id(weight) for weight in clone.weights}
    train_one_step(loaded)
    changed = outputs(loaded)
    assert any((changed[name] != wanted[name]).any() for name in wanted)


def train_one_step(model):
    losses = dict.fromkeys(model.output, "mae")
    model.compile("sgd", loss=losses, run_eagerly=True)
    x = inputs(model)
    y = {
        name: np.ones(value.shape, "float32")
        for name, value in outputs(model).items()
    }
    model.fit(x, y, verbose=0)


@pytest.mark.one_backend("torch")
def test_tied_weights_are_updated_once():
    """The tied table of a copy is one variable that all parts read."""
    model = with_new_head(task(ConvBertPretrainer))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    tables = [w for w in clone.weights if w.path.endswith("embeddings")]
    assert len(tables) == 3  # tokens, segments, positions
    before = outputs(clone)
    tables[0].assign_add(np.ones(tables[0].shape))
    after = outputs(clone)
    for name in ("mlm_losses", "rtd_logits"):
        assert (after[name] != before[name]).any()


@pytest.mark.one_backend("torch")
@pytest.mark.parametrize("make", [*graphs()])
def test_each_layer_is_registered_and_restored_from_its_config(make):
    model = make()
    layers = {type(layer): layer for layer in flatten_layers(model)}
    for layer in layers.values():
        name = keras.saving.get_registered_name(type(layer))
        if type(layer).__module__.startswith("keras_convbert."):
            assert name == f"keras_convbert>{type(layer).__name__}"
        config = keras.saving.serialize_keras_object(layer)
        copy = keras.saving.deserialize_keras_object(config)
        assert type(copy) is type(layer)
        assert copy.get_config() == layer.get_config()


@pytest.mark.once
@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
@pytest.mark.parametrize("make", [*graphs()])
def test_a_quantized_graph_is_saved(make, tmp_path):
    model = make()
    if model.task_kind == "pretrainer":
        pytest.skip("a pretrainer cannot be quantized")
    model.quantize("int8")
    graph = with_new_head(model)
    graph.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(outputs(loaded), outputs(graph))


@pytest.mark.once
@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize`")
def test_a_quantized_joint_answer_head_is_saved(tmp_path):
    model = task(ConvBertQuestionAnswerer, head="joint")
    model.quantize("int8")
    model.compile()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(outputs(loaded), outputs(model))
