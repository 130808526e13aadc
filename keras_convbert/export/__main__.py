"""The process that `tensorflow_process` starts: a request on its input."""

import json
import sys

import keras

from keras_convbert.export.tensorflow_writer import write


def main() -> None:
    request = json.load(sys.stdin)
    model = keras.saving.load_model(request["model"], compile=False)
    write(model, request["folder"], request["labels"])


if __name__ == "__main__":
    main()
