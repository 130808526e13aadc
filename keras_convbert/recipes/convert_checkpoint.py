import os

from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_folder
from keras_convbert.recipes.sources import open_source

FORMS = ("keras", "huggingface")


def convert_checkpoint(
    source: AnyPath,
    target: AnyPath,
    to: str = "keras",
    vocabulary: AnyPath | None = None,
    strict: bool = False,
) -> None:
    """Writes a checkpoint in another format.

    Args:
        source: path or handle of a folder in the format of KerasHub or
            Hugging Face `transformers`, path of a `.keras` file, or prefix of
            a TensorFlow 1 checkpoint.
        target: path of the folder to write. It must not exist, or be empty.
        to: string. `"keras"` writes a preset for `from_preset`;
            `"huggingface"` writes a folder for `transformers`. Defaults to
            `"keras"`.
        vocabulary: path. Vocabulary for a source that lacks one or has a
            damaged one. Defaults to `None`.
        strict: bool. Whether to raise an error for a model whose outputs for
            padded texts differ in `transformers`. Defaults to `False`.

    Raises:
        ValueError: if `to` is unknown, if the source is not a checkpoint, or
            if the format cannot represent the model.
        FileExistsError: if `target` exists and is not an empty folder.
    """
    if to not in FORMS:
        raise ValueError(
            f"Expected `to` to be one of {FORMS}. Received: to={to!r}"
        )
    # An invalid target raises an error before the source is read.
    with atomic_folder(target) as folder:
        model, tokenizer = open_source(os.fspath(source), vocabulary)
        if to == "keras":
            model.save_to_preset(str(folder))
            if tokenizer is not None:
                tokenizer.save_to_preset(str(folder))
        else:
            options = {} if tokenizer is None else {"tokenizer": tokenizer}
            model.export_to_transformers(folder, strict=strict, **options)
