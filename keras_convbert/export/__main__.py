"""Entry point of the export process; it reads a request from stdin."""

import json
import sys

import keras

# Registers the class.
from keras_convbert.export import served_model  # noqa: F401
from keras_convbert.export.writing import writer


def main() -> None:
    request = json.load(sys.stdin)
    model = keras.saving.load_model(request["model"], compile=False)
    writer(request["form"])(model, request["path"], **request["options"])


if __name__ == "__main__":
    main()
