import os

from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_folder
from keras_convbert.models.convbert.transformers.tokenizer import (
    write_tokenizer,
)
from keras_convbert.recipes.sources import open_source

FORMS = ("keras", "huggingface")


def convert_checkpoint(
    source: AnyPath,
    target: AnyPath,
    to: str = "keras",
    vocabulary: AnyPath | None = None,
    strict: bool = False,
) -> None:
    """Writes a checkpoint in another form.

    Args:
        source: path or handle. A folder of KerasHub's or Hugging Face's form,
            a `.keras` file, or the prefix of a checkpoint of TensorFlow 1.
        target: path of the folder to write, where nothing may be yet.
        to: string. `"keras"`, a preset for `from_preset`, or
            `"huggingface"`, a folder for `transformers`. Defaults to
            `"keras"`.
        vocabulary: path. Vocabulary for a source that has none, or a damaged
            one. Defaults to `None`.
        strict: bool. Whether to refuse a model whose results of padded texts
            differ in Hugging Face's code. Defaults to `False`.

    Raises:
        ValueError: if `to` is unknown, the source is none of these, or cannot
            be what is asked for.
        FileExistsError: if something is at `target`.
    """
    if to not in FORMS:
        raise ValueError(
            f"Expected `to` to be one of {FORMS}. Received: to={to!r}"
        )
    # Whether it can be written is known before anything is read.
    with atomic_folder(target) as folder:
        model, tokenizer = open_source(os.fspath(source), vocabulary)
        if to == "keras":
            model.save_to_preset(str(folder))
            if tokenizer is not None:
                tokenizer.save_to_preset(str(folder))
        else:
            model.export_to_transformers(folder, strict=strict)
            if tokenizer is not None:
                write_tokenizer(tokenizer, folder, model.max_sequence_length)
