"""Folders of Hugging Face's form of a stranger."""

import json
import os
import pickle
import shutil

import h5py
import numpy as np
import pytest

from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertTokenizer
from tests.hostile import guard
from tests.models.convbert.transformers import test_loading as files
from tests.models.convbert.transformers import transformers_models as theirs

pytestmark = pytest.mark.once
QUERY = "encoder.layer.0.attention.self.query.weight"


@pytest.fixture
def folder(place):
    return theirs.save(theirs.make(), place / "mine" / "model", tokenizer=True)


def refuse(folder, match, cls=ConvBertBackbone):
    with guard.nothing_happens(folder, os.path.dirname(folder)):
        with pytest.raises(ValueError, match=match):
            cls.from_preset(folder)


def change_config(folder, **changes):
    files.write_config(folder, {**files.read_config(folder), **changes})


def test_a_good_folder_opens(folder):
    with guard.nothing_happens(folder):
        ConvBertBackbone.from_preset(folder)
        ConvBertTokenizer.from_preset(folder)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"vocab_size": 2**31 - 1, "hidden_size": 65536}, "too large"),
        ({"num_hidden_layers": 10**6}, "too large"),
        ({"hidden_size": "large"}, "hidden_dim=large"),
        ({"num_attention_heads": 0}, "num_heads=0"),
        ({"max_position_embeddings": -1}, "max_sequence_length=-1"),
    ],
)
def test_sizes_are_bounded(changes, match, folder):
    change_config(folder, **changes)
    refuse(folder, match)
    os.remove(os.path.join(folder, files.WEIGHTS))
    with guard.nothing_happens(folder):
        with pytest.raises(ValueError, match=match):
            ConvBertBackbone.from_preset(folder, load_weights=False)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"hidden_size": None}, "Cannot load .* TypeError"),
        ({"hidden_act": ["gelu"]}, "Cannot load .* TypeError"),
        ({"hidden_act": {"a": 1}}, "Cannot load .* TypeError"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_epsilon=nan"),
        ({"layer_norm_eps": "a"}, "Cannot load .* TypeError"),
        ({"layer_norm_eps": -1}, "layer_norm_epsilon=-1"),
        ({"model_type": None}, "model_type=None"),
        ({"id2label": 3, "hidden_dropout_prob": "x"}, "dropout='x'"),
    ],
)
def test_values_of_another_kind_are_refused(changes, match, folder):
    change_config(folder, **changes)
    refuse(folder, match)


def change_tokenizer(folder, **changes):
    path = os.path.join(folder, "tokenizer.json")
    with open(path) as file:
        content = json.load(file)
    with open(path, "w") as file:
        json.dump({**content, **changes}, file)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"normalizer": "x"}, "normalizer='x'"),
        ({"model": "x"}, "model='x'"),
        ({"normalizer": None}, "BERT WordPiece tokenizer"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "'Whitespace'"),
        ({"model": {"type": "BPE", "vocab": {}}}, "'BPE'"),
        ({"added_tokens": [{"content": "<new>", "id": 99}]}, "<new>"),
    ],
)
def test_other_tokenizers_are_refused(changes, match, folder):
    change_tokenizer(folder, **changes)
    refuse(folder, match, ConvBertTokenizer)


def test_files_of_a_tokenizer_that_disagree_are_refused(folder):
    path = os.path.join(folder, "vocab.txt")
    tokens = ConvBertTokenizer.from_preset(folder).get_vocabulary()
    with open(path, "w") as file:
        file.write("\n".join(tokens[:-1]))
    refuse(folder, "the same vocabulary", ConvBertTokenizer)
    os.remove(path)
    path = os.path.join(folder, "tokenizer_config.json")
    with open(path) as file:
        config = json.load(file)
    with open(path, "w") as file:
        json.dump({**config, "do_lower_case": False}, file)
    refuse(folder, "to agree", ConvBertTokenizer)


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_tensors_that_are_no_arrays_are_refused(folder):
    import torch

    tensors = {n: torch.tensor(a) for n, a in files.read(folder).items()}
    os.remove(os.path.join(folder, files.WEIGHTS))
    with pytest.warns(UserWarning, match="quantized|prototype"):
        others = [
            (torch.empty(12, 24, device="meta"), "TypeError: .* meta"),
            (
                torch.quantize_per_tensor(
                    torch.ones(12, 24), 0.1, 0, torch.qint8
                ),
                "TypeError: .* QInt8",
            ),
            (
                torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
                "NestedTensorImpl",
            ),
        ]
    for tensor, match in others:
        content = {**tensors, QUERY: tensor}
        torch.save(content, os.path.join(folder, "pytorch_model.bin"))
        refuse(folder, match)
    torch.save({**tensors, 3: tensors[QUERY]}, f"{folder}/pytorch_model.bin")
    refuse(folder, "Cannot load .* TypeError")


@pytest.mark.parametrize("text", ["[" * 10**5, "{", " " * 2**21])
def test_configs_that_are_none_are_refused(text, folder):
    with open(os.path.join(folder, "config.json"), "w") as file:
        file.write(text)
    refuse(folder, "config.json")


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.99])
def test_truncated_safetensors_are_refused(share, folder):
    path = os.path.join(folder, files.WEIGHTS)
    os.truncate(path, int(share * os.path.getsize(path)))
    refuse(folder, "Cannot read the safetensors")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value, folder):
    arrays = files.read(folder)
    arrays[QUERY][0, 0] = value
    files.write(folder, arrays)
    refuse(folder, f"infinity in '{QUERY}'")


def test_integers_are_refused(folder):
    arrays = files.read(folder)
    files.write(folder, {**arrays, QUERY: arrays[QUERY].astype("int32")})
    refuse(folder, "floating-point")


class Shell:
    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol 4")
@pytest.mark.parametrize("zipped", [True, False])
def test_pickles_run_nothing(zipped, folder):
    import torch

    os.remove(os.path.join(folder, files.WEIGHTS))
    path = os.path.join(folder, "pytorch_model.bin")
    if zipped:
        torch.save({"a": Shell()}, path)
    else:
        with open(path, "wb") as file:
            pickle.dump({"a": Shell()}, file)
    refuse(folder, "Cannot read the PyTorch file")


def test_a_tensor_that_repeats_one_number_is_not_read(folder):
    import torch

    arrays = files.read(folder)
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    tensors[QUERY] = torch.zeros(1).expand(2**20, 2**20)
    torch.save(tensors, os.path.join(folder, "pytorch_model.bin"))
    os.remove(os.path.join(folder, files.WEIGHTS))
    refuse(folder, "Of another shape")


@pytest.mark.parametrize(
    "kind", ["soft", "external", "storage", "declared", "loop"]
)
def test_hdf5_that_refers_elsewhere_or_lies_is_refused(kind, folder, place):
    files.as_hdf5(folder)
    path = os.path.join(folder, "tf_model.h5")
    outside = place / "outside" / "secret.h5"
    with h5py.File(outside, "w") as file:
        file["x"] = np.ones(3)
    with h5py.File(path, "a") as file:
        if kind == "soft":
            file["convbert/link"] = h5py.SoftLink("/convbert")
        elif kind == "external":
            file["convbert/link"] = h5py.ExternalLink(str(outside), "x")
        elif kind == "loop":
            file["convbert/a"] = file["convbert/b"] = file["convbert"]
        elif kind == "storage":
            raw = str(place / "outside" / "secret.txt")
            file.create_dataset(
                "convbert/raw", (4,), "u1", external=[(raw, 0, 4)]
            )
        else:
            file.create_dataset(
                "convbert/m/convbert/extra/kernel:0",
                (2**20, 2**14),
                "float32",
                chunks=(1024, 1024),
                compression="gzip",
            )
    match = {
        "storage": "another file",
        "declared": "Unknown",
        "loop": "more than the model",
    }
    refuse(folder, match.get(kind, "is a link"))


@pytest.mark.parametrize(
    "name", ["../outside.safetensors", "/etc/passwd", "a/b", "", 3, "..", None]
)
def test_shards_are_plain_names(name, folder):
    files.as_shards(folder)
    index = os.path.join(folder, f"{files.WEIGHTS}.index.json")
    with open(index) as file:
        content = json.load(file)
    content["weight_map"][QUERY] = name
    with open(index, "w") as file:
        json.dump(content, file)
    refuse(folder, "names a file elsewhere")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_links_that_lead_out_are_refused(name, folder, place):
    path = os.path.join(folder, name)
    shutil.move(path, place / "outside" / name)
    os.symlink(place / "outside" / name, path)
    refuse(folder, "leads out")


def test_a_vocabulary_elsewhere_is_refused(folder, place):
    os.symlink(
        place / "outside" / "secret.txt", os.path.join(folder, "vocab.txt")
    )
    refuse(folder, "leads out", ConvBertTokenizer)


def test_ids_with_holes_are_refused(folder):
    path = os.path.join(folder, "tokenizer.json")
    with open(path) as file:
        content = json.load(file)
    content["model"]["vocab"]["far"] = 10**9
    with open(path, "w") as file:
        json.dump(content, file)
    refuse(folder, "without gaps", ConvBertTokenizer)
