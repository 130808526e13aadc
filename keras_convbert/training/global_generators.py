"""The global random generators."""

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
    """Returns the states of those of Python, NumPy, Keras and PyTorch."""
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
    """Sets the states that `get_generators` returned."""
    states = decode(state, arrays)
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    global_seed_generator().state.assign(states["keras"])
    set_torch_generators(states["torch"])
