"""Checkpoints of TensorFlow 1, read and written anew with other arrays."""

from tests import golden


def read(case):
    import tensorflow as tf

    reader = tf.train.load_checkpoint(prefix_of(case))
    names = reader.get_variable_to_shape_map()
    return {name: reader.get_tensor(name) for name in names}


def write(prefix, arrays):
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(array) for array in arrays.values()],
    )
    return prefix


def prefix_of(case):
    return str(golden.FOLDER / "convbert_tf1" / case / "model.ckpt")
