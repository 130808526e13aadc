"""Says how to install KerasHub where pip cannot."""

try:
    import keras_hub  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "keras_hub":
        raise
    raise ImportError(
        "keras_convbert needs KerasHub, which is not installed. It requires "
        "TensorFlow Text, which has no package for Python 3.14 or later, nor "
        "for Intel Macs. Install it without: "
        '`pip install --no-deps "keras-hub>=0.32,<0.34"`.'
    ) from error
