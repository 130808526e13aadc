"""Writes ONNX models, on the TensorFlow backend."""

from typing import Any

import numpy as np

from keras_convbert.export.saved_model_writer import ids_function
from keras_convbert.export.saved_model_writer import ids_specs
from keras_convbert.files import AnyPath

OPSET = 18


def write(model: Any, path: AnyPath) -> None:
    """Writes a model with inputs of ids.

    Raises:
        RuntimeError: if the model has an operation that ONNX lacks.
    """
    import onnx
    import tensorflow as tf
    import tf2onnx

    serve = ids_function(model)
    specs = ids_specs(model)

    def by_position(*inputs: Any) -> Any:
        return serve(dict(zip(specs, inputs, strict=True)))

    signature = [*specs.values()]
    tf2onnx.convert.from_function(
        tf.function(by_position, input_signature=signature),
        signature,
        opset=OPSET,
        custom_op_handlers={"Erfc": (_erfc, [])},
        output_path=str(path),
    )
    try:
        # `tf2onnx` copies operations that it cannot convert unchanged.
        onnx.checker.check_model(str(path))
    except onnx.checker.ValidationError as error:
        raise RuntimeError(
            f"`tf2onnx` did not convert the model to valid ONNX: {error}"
        ) from error


def _erfc(context: Any, node: Any, name: str, arguments: Any) -> Any:
    """Converts `Erfc`, which `tf2onnx` does not support, to `1 - erf(x)`."""
    shape = context.get_shape(node.output[0])
    dtype = context.get_dtype(node.output[0])
    one = context.make_const(f"{name}_one", np.array(1.0, "float32"))
    context.remove_node(node.name)
    erf = context.make_node(
        "Erf", [node.input[0]], shapes=[shape], dtypes=[dtype]
    )
    return context.make_node(
        "Sub",
        [one.output[0], erf.output[0]],
        outputs=node.output,
        shapes=[shape],
        dtypes=[dtype],
        name=name,
    )
