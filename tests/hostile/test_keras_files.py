"""`.keras` files of a stranger, through `load_model`."""

import json
import stat
import zipfile

import h5py
import keras
import numpy as np
import pytest

import keras_convbert
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.safe_loading import safe_loading
from tests.hostile import guard
from tests.models.convbert import tasks
from tests.models.convbert import tiny


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A file of a classifier, and its members."""
    path = tmp_path_factory.mktemp("good") / "good.keras"
    tasks.classifier().save(path)
    return path


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, contents, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def refuse(place, path, match):
    folders = (place / "mine", place / "scratch")
    with guard.nothing_happens(*folders):
        with pytest.raises(CheckpointError, match=match) as caught:
            keras_convbert.load_model(path)
    assert str(path) in str(caught.value)
    assert list((place / "scratch").iterdir()) == []


def function(module, name):
    return {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": name,
    }


def instance(module, name, registered_name=None, **config):
    return {
        "module": module,
        "class_name": name,
        "config": config,
        "registered_name": registered_name,
    }


def backbone(config):
    return config["config"]["backbone"]["config"]


def activation(value):
    return lambda config, _: backbone(config).update(activation=value)


def sizes(**values):
    return lambda config, _: backbone(config).update(values)


def preprocessor(value):
    return lambda config, _: config["config"].update(preprocessor=value)


def metrics(*values):
    def change(config, _):
        config["compile_config"]["metrics"] = [*values]

    return change


def whole(value):
    def change(config, _):
        config.clear()
        config.update(value)

    return change


def vocabulary_path(config, place):
    inner = config["config"]["preprocessor"]["config"]
    path = str(place / "outside" / "secret.txt")
    inner["tokenizer"]["config"]["vocabulary"] = path


def parseq(config, place):
    config["config"]["preprocessor"] = instance(
        "keras_hub.tokenizers",
        "PARSeqTokenizer",
        "keras_hub>PARSeqTokenizer",
        vocabulary=str(place / "outside" / "secret.txt"),
    )


def functional(config, _):
    """A graph with a call that no output depends on."""
    inputs = keras.Input((4,), name="x")
    outputs = keras.layers.Dense(2, name="y")(inputs)
    model = keras.Model(inputs, outputs)
    graph = keras.saving.serialize_keras_object(model)
    graph["config"]["layers"].append(
        {
            **function("keras.config", "set_dtype_policy"),
            "name": "dead",
            "inbound_nodes": [{"args": ["mixed_float16"], "kwargs": {}}],
        }
    )
    whole(graph)(config, _)


OFF_LIST = "not on the list"
LAMBDA = {"class_name": "__lambda__", "config": {"value": ["", None, None]}}
CONFIGS = {
    "a lambda": (activation(LAMBDA), OFF_LIST),
    "a lambda layer": (
        activation(instance("keras.layers", "Lambda", function=LAMBDA)),
        OFF_LIST,
    ),
    "a policy set by an activation": (
        activation(function("keras.config", "set_dtype_policy")),
        "set_dtype_policy",
    ),
    "a download by an activation": (
        activation(function("keras.datasets.mnist", "load_data")),
        "load_data",
    ),
    "a tool by an activation": (
        activation(function("keras.utils", "pad_sequences")),
        "pad_sequences",
    ),
    "get_file": (activation(function("keras.utils", "get_file")), "get_file"),
    "safe mode switched off": (
        activation(function("keras.config", "enable_unsafe_deserialization")),
        "enable_unsafe",
    ),
    "a deserializer among losses": (
        activation(function("keras.losses", "deserialize")),
        "keras.losses.deserialize",
    ),
    "os.system": (activation(function("os", "system")), "os.system"),
    "eval": (activation(function("builtins", "eval")), "builtins.eval"),
    "Popen": (
        preprocessor(instance("subprocess", "Popen", args="touch marker")),
        "subprocess.Popen",
    ),
    "another name for a function": (
        activation(
            {**function("keras.activations", "relu"), "registered_name": "x"}
        ),
        OFF_LIST,
    ),
    "a registered name on a layer of Keras": (
        activation("keras_hub>PARSeqTokenizer"),
        OFF_LIST,
    ),
    "TFSMLayer": (
        preprocessor(instance("keras.layers", "TFSMLayer", filepath="/")),
        "TFSMLayer",
    ),
    "TorchModuleWrapper": (
        preprocessor(instance("keras.layers", "TorchModuleWrapper")),
        "TorchModuleWrapper",
    ),
    "a private class": (
        preprocessor(instance("keras.src.saving.saving_lib", "DiskIOStore")),
        "DiskIOStore",
    ),
    "a graph with a dead call": (functional, "Functional|set_dtype_policy"),
    "a tokenizer that reads a file": (parseq, "PARSeqTokenizer"),
    "the path of a vocabulary": (vocabulary_path, "vocabulary file"),
    "a tensor": (
        activation(
            {
                "class_name": "__numpy__",
                "config": {"value": [0], "dtype": "float32"},
            }
        ),
        OFF_LIST,
    ),
    "512 TiB of embeddings": (
        sizes(vocabulary_size=2**31 - 1, hidden_dim=65536),
        "too large",
    ),
    "a million layers": (sizes(num_layers=10**6), "too large"),
    "more than the weights": (sizes(intermediate_dim=10**7), "too large"),
    "a number of 400 bits": (sizes(num_heads=2**400), "invalid size"),
    "a size that is text": (sizes(hidden_dim="32"), "invalid size"),
    "a huge table of classes": (
        lambda config, _: config["config"].update(num_classes=10**9),
        "too large",
    ),
    "a huge metric": (
        metrics(instance("keras.metrics", "AUC", num_thresholds=10**9)),
        "too large",
    ),
    "a metric with a square table": (
        metrics(instance("keras.metrics", "MeanIoU", num_classes=60000)),
        "MeanIoU",
    ),
    "ten thousand metrics": (
        metrics(*[instance("keras.metrics", "AUC")] * 10**4),
        "too many|bytes at most",
    ),
    "no model": (whole(instance("keras.metrics", "AUC")), "Expected a model"),
    "no class": (whole({"a": 1}), "Expected a model"),
    "a rate that is text": (sizes(dropout="much"), "bad.keras"),
}


@pytest.mark.once
@pytest.mark.parametrize("case", CONFIGS)
def test_configs_are_refused(case, good, place):
    change, match = CONFIGS[case]
    contents = members(good)
    config = json.loads(contents["config.json"])
    change(config, place)
    contents["config.json"] = json.dumps(config)
    path = place / "mine" / "bad.keras"
    write(path, contents)
    refuse(place, path, match)


def weights(change):
    def make(contents, path):
        file = path.with_name("w.h5")
        file.write_bytes(contents["model.weights.h5"])
        with h5py.File(file, "r+") as opened:
            change(opened, path)
        contents["model.weights.h5"] = file.read_bytes()
        file.unlink()
        write(path, contents)

    return make


HEAD = "layers/dense/vars/0"


def not_finite(opened, _):
    opened[HEAD][0, 0] = np.nan


def external(opened, path):
    del opened[HEAD]
    outside = path.parents[1] / "outside" / "other.h5"
    opened[HEAD] = h5py.ExternalLink(str(outside), "x")


def bomb(opened, _):
    shape = opened[HEAD].shape
    del opened[HEAD]
    opened.create_dataset(
        HEAD, (10**9, *shape[1:]), "float32", chunks=True, compression="gzip"
    )


def text(name, content):
    def make(contents, path):
        contents[name] = content
        write(path, contents)

    return make


def link(contents, path):
    contents.pop("assets/training.json")
    write(path, contents)
    info = zipfile.ZipInfo("assets/training.json")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "../../outside/secret.txt")


def twice(contents, path):
    write(path, contents)
    with pytest.warns(UserWarning, match="Duplicate"):
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("config.json", contents["config.json"])


def zipped_bomb(contents, path):
    write(
        path,
        {**contents, "assets/zeros.bin": bytes(300 * 2**20)},
        zipfile.ZIP_DEFLATED,
    )


def npz_bomb(contents, path):
    file = path.with_name("state.npz")
    np.savez_compressed(file, zeros=np.zeros(2**28, "uint8"))
    contents["assets/random_state.npz"] = file.read_bytes()
    file.unlink()
    write(path, contents)


def npz_pickle(contents, path):
    file = path.with_name("state.npz")
    np.savez(file, x=np.array([print], dtype=object))
    contents["assets/random_state.npz"] = file.read_bytes()
    file.unlink()
    write(path, contents)


def without(name):
    def make(contents, path):
        contents.pop(name)
        write(path, contents)

    return make


def flipped(contents, path):
    write(path, contents)
    content = bytearray(path.read_bytes())
    # Within the arrays, where nothing but the checksum can tell.
    content[content.index(b"\x89HDF") + 20000] ^= 1
    path.write_bytes(content)


ARCHIVES = {
    "NaN": (weights(not_finite), "NaN or infinity"),
    "a link to another file": (weights(external), "ExternalLink"),
    "arrays larger than the file": (weights(bomb), "compressed|more than"),
    "a bit flipped": (flipped, "CRC"),
    "JSON without end": (text("config.json", "[" * 10**5), "not JSON"),
    "deep JSON": (
        text("config.json", '{"a":' * 200 + "1" + "}" * 200),
        "nested too deeply",
    ),
    "long JSON": (text("config.json", " " * 2**21 + "{}"), "bytes at most"),
    "JSON that is a list": (text("config.json", "[1]"), "to hold a dict"),
    "bytes for JSON": (text("config.json", b"\xff\xfe"), "not JSON"),
    "two configs": (twice, "of the same name"),
    "a way up": (text("assets/../../x", "x"), "Keras does not write"),
    "an absolute name": (text("/tmp/x", "x"), "Keras does not write"),
    "a drive": (text("assets/c:x", "x"), "Keras does not write"),
    "weights of another kind": (
        text("model.weights.npz", "x"),
        "Keras does not write",
    ),
    "a link": (link, "is a link"),
    "a bomb": (zipped_bomb, "larger than itself"),
    "no config": (without("config.json"), "no member 'config.json'"),
    "no weights": (without("model.weights.h5"), "no member 'model.w"),
    "no vocabulary": (
        without("assets/preprocessor/tokenizer/vocabulary.txt"),
        "could not be loaded",
    ),
    "a bomb of random states": (npz_bomb, "too large"),
    "a pickle": (npz_pickle, "incomplete|pickle"),
    "text for a random state": (
        text("assets/random_state.npz", "x"),
        "not a zip",
    ),
    "a list of what is frozen": (
        text("assets/training.json", '{"frozen_layers": 1}'),
        "frozen_layers",
    ),
    "a vocabulary without tokens": (
        text("assets/preprocessor/tokenizer/vocabulary.txt", "a\n" * 9),
        "could not be loaded",
    ),
}


@pytest.mark.once
@pytest.mark.parametrize("case", ARCHIVES)
def test_archives_are_refused(case, good, place):
    make, match = ARCHIVES[case]
    path = place / "mine" / "bad.keras"
    make(members(good), path)
    refuse(place, path, match)


@pytest.mark.once
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(share, good, place):
    content = good.read_bytes()
    path = place / "mine" / "bad.keras"
    path.write_bytes(content[: int(share * len(content))])
    refuse(place, path, "bad.keras")


@pytest.mark.once
def test_a_folder_is_refused(place):
    refuse(place, place / "mine", "to be a file")


@pytest.mark.once
def test_a_missing_file_is_no_damage(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.keras"):
        keras_convbert.load_model(tmp_path / "none.keras")


@pytest.mark.once
def test_safe_mode_holds_where_it_was_switched_off(good, place):
    contents = members(good)
    config = json.loads(contents["config.json"])
    activation(LAMBDA)(config, place)
    contents["config.json"] = json.dumps(config)
    path = place / "mine" / "bad.keras"
    write(path, contents)
    keras.config.enable_unsafe_deserialization()
    try:
        refuse(place, path, OFF_LIST)
        with pytest.raises(ValueError, match="lambda"), safe_loading():
            keras.saving.deserialize_keras_object(LAMBDA)
    finally:
        guard.forget_unsafe_mode()


@keras.saving.register_keras_serializable(package="tests_hostile")
def square(x):
    return x * x


@pytest.mark.once
def test_custom_objects_are_allowed(place):
    path = place / "mine" / "good.keras"
    task = tasks.classifier(activation=square)
    task.save(path)
    with pytest.raises(CheckpointError, match="square"):
        keras_convbert.load_model(path)
    for name in ("square", "tests_hostile>square"):
        loaded = keras_convbert.load_model(path, {name: square})
        assert loaded.activation is square


@pytest.mark.once
def test_a_file_compiled_with_functions_and_names_is_allowed(place):
    path = place / "mine" / "good.keras"
    task = tasks.classifier(activation="softmax")
    task.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(0.1, 10**6)
        ),
        keras.losses.sparse_categorical_crossentropy,
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2)],
    )
    task.save(path)
    loaded = keras_convbert.load_model(path)
    assert loaded.get_compile_config() == task.get_compile_config()


@pytest.mark.parametrize("kind", ["classifier", "masked_lm", "pretrainer"])
def test_good_files_are_what_keras_loads(kind, place):
    if kind == "pretrainer":
        task, x, y = tiny.pretrainer(), tiny.sequences(), None
    else:
        task, x = getattr(tasks, kind)(), ["a b c", "d e", "f"]
        y = [0, 1, 2] if kind == "classifier" else None
    task.fit(x, y, verbose=0)
    path = place / "mine" / "good.keras"
    task.save(path)
    wanted = keras.saving.load_model(path)
    found = keras_convbert.load_model(path)
    tasks.assert_same_variables(found.variables, task.variables)
    tasks.assert_same_variables(
        found.optimizer.variables, wanted.optimizer.variables
    )
    assert found.get_config() == wanted.get_config()
    assert found.get_compile_config() == wanted.get_compile_config()


def test_training_goes_on_from_a_file(place):
    tasks.assert_goes_on_from_file(
        tasks.classifier(),
        place / "mine" / "good.keras",
        ["a b c", "d e", "f"],
        [0, 1, 2],
        load=keras_convbert.load_model,
    )


@pytest.mark.parametrize(
    "change",
    [pytest.param("int8", marks=pytest.mark.long), "lora", "frozen"],
)
def test_good_files_of_changed_models(change, place):
    task = tasks.classifier()
    if change == "int8":
        task.quantize("int8")
    elif change == "lora":
        task.backbone.enable_lora(2)
    else:
        task.backbone.trainable = False
    path = place / "mine" / "good.keras"
    task.save(path)
    inputs = tasks.inputs(task, ["a b c", "d"])
    found = keras_convbert.load_model(path)
    np.testing.assert_array_equal(
        tasks.outputs(found, inputs),
        tasks.outputs(keras.saving.load_model(path), inputs),
    )
    assert found.backbone.trainable == task.backbone.trainable
