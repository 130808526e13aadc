"""What the `predict_…` methods of tasks share."""

from typing import Any

import keras
import numpy as np

# Sequences are as long as the longest needs, in these steps: each length is
# compiled anew.
STEP = 64


def needed_preprocessor(task: Any) -> Any:
    """The preprocessor; raises `ValueError` if there is none."""
    if task.preprocessor is None:
        raise ValueError(
            "Expected a task with a preprocessor, to take text. "
            "Received: preprocessor=None"
        )
    return task.preprocessor


def padding_margin(backbone: Any) -> int:
    """How much padding after a text has a say in what it means, in tokens.

    Where the convolutions see padding, of each layer the right half of a
    kernel; what is cut off after that changes no vector of the text.
    """
    if not backbone.conv or backbone.mask_conv:
        return 0
    return backbone.num_layers * (backbone.kernel_size // 2)


def predict_batch(task: Any, inputs: dict[str, np.ndarray]) -> Any:
    """Outputs in float32 for inputs, less padding that has no say in them."""
    longest = int(inputs["padding_mask"].sum(axis=1).max())
    longest += padding_margin(task.backbone)
    whole = inputs["padding_mask"].shape[1]
    length = min(whole, -(-longest // STEP) * STEP)
    inputs = {
        name: values[:, :length] if values.shape[1:] == (whole,) else values
        for name, values in inputs.items()
    }
    # Past KerasHub's, which would preprocess.
    outputs = keras.Model.predict_on_batch(task, inputs)
    return keras.tree.map_structure(
        lambda output: np.asarray(output, "float32"), outputs
    )
