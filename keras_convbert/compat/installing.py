"""What to install, and where it cannot be installed."""

TENSORFLOW = (
    '`pip install "keras-convbert[tensorflow]"`. TensorFlow has no package '
    "for Python 3.14 or later, nor for Intel Macs; TensorFlow Text has none "
    "for Windows either"
)
"""How to install TensorFlow and TensorFlow Text."""


def missing_tensorflow(purpose: str, package: str) -> ImportError:
    """Returns the error for a use of TensorFlow, or of TensorFlow Text.

    Args:
        purpose: string. What needs the package, the start of a sentence.
        package: string. The name of the package.
    """
    return ImportError(
        f"{purpose} needs the package {package}, which is not installed: "
        f"{TENSORFLOW}."
    )
