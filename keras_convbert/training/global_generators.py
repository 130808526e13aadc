"""The random generators that belong to no model."""

import random

import keras
import numpy as np

from keras_convbert.compat import global_seed_generator
from keras_convbert.compat import set_torch_generators
from keras_convbert.compat import torch_generators
from keras_convbert.training.plain_state import Arrays
from keras_convbert.training.plain_state import decode
from keras_convbert.training.plain_state import encode
from keras_convbert.types import Config


def get_generators() -> tuple[Config, Arrays]:
    """The states of Python's, NumPy's, Keras's and PyTorch's, by name."""
    keras_state = keras.ops.convert_to_numpy(global_seed_generator().state)
    states = {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "keras": keras_state,
        "torch": torch_generators(),
    }
    arrays: Arrays = {}
    return encode(states, "generators", arrays), arrays


def set_generators(state: Config, arrays: Arrays) -> None:
    """Puts them back."""
    states = decode(state, arrays)
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    global_seed_generator().state.assign(states["keras"])
    set_torch_generators(states["torch"])
