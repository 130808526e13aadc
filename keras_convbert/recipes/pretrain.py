import importlib.util
import warnings
from typing import Any

import keras

from keras_convbert import data
from keras_convbert.data.documents import Corpus
from keras_convbert.data.documents import Files
from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_folder
from keras_convbert.files import write_text
from keras_convbert.recipes.pretraining_config import PretrainingConfig
from keras_convbert.recipes.pretraining_folder import PretrainingFolder
from keras_convbert.recipes.pretraining_model import checked
from keras_convbert.recipes.pretraining_model import make_pretrainer
from keras_convbert.recipes.pretraining_model import tokenizer_class
from keras_convbert.recipes.stop_at_step import StopAtStep
from keras_convbert.training import BackupAndResume
from keras_convbert.types import Config


def pretrain(
    files: Files,
    output: AnyPath,
    config: AnyPath | Config | PretrainingConfig | None = None,
    verbose: int = 1,
) -> Config:
    """Pretrains a ConvBERT model on files of text and saves presets.

    If training is interrupted, call the function again with the same
    arguments: training resumes from the last backup. After training has
    finished, the function only returns the results. It writes to `output`:

    - `pretraining.json`: the configuration, with hashes of the corpus;
    - `vocabulary.txt` and `sequences/`: the vocabulary, and the output of
      `data.prepare`;
    - `backup/`: the state that training resumes from;
    - `log.csv` and `tensorboard/`: losses and metrics per epoch, with the
      prefix `val_` for held-out sequences;
    - `backbone/`: a preset for `ConvBertBackbone` and the tasks;
    - `pretrainer/`: a preset for `ConvBertPretrainer`;
    - `results.json`: the results, written last.

    Args:
        files: path, or several paths, of text, JSON Lines or Parquet files,
            as in `data.prepare`.
        output: path of the output folder. It must not exist, or must be the
            folder of an earlier call.
        config: path of a JSON or TOML file, or a dict, with arguments of
            `PretrainingConfig`; or a `PretrainingConfig`. `None` trains the
            small model of the paper. Defaults to `None`.
        verbose: int. Verbosity of `fit`; 0 prints nothing. Defaults to `1`.

    Returns:
        The dict in `results.json`: `steps`, `tokens` (the number of training
        tokens), `parameters` of the backbone, and `held_out`, the metrics on
        held-out sequences.

    Raises:
        ValueError: before any file is written, if the configuration has an
            invalid key or value, if a file is not text, or if `output` belongs
            to another configuration or corpus.
        FileNotFoundError: if a file is missing.
        FileExistsError: if `output` exists and is not a pretraining folder.
        BlockingIOError: before any work, if another process pretrains in
            `output`. The message names the process.
    """
    config, corpus = checked(files, config)
    if config.vocabulary is not None:
        _tokenizer(config, config.vocabulary)
    with PretrainingFolder.locked(output):
        folder = PretrainingFolder(output, config, corpus)
        results = folder.results()
        if results is None:
            results = _pretrain(config, corpus, folder, verbose)
        return results


def _pretrain(
    config: PretrainingConfig,
    corpus: Corpus,
    folder: PretrainingFolder,
    verbose: int,
) -> Config:
    folder.begin()
    keras.utils.set_random_seed(config.seed)
    tokenizer = _prepare(config, corpus, folder, bool(verbose))
    train, held_out = _datasets(config, folder, tokenizer)
    pretrainer = make_pretrainer(config, tokenizer, tokenizer.vocabulary_size())
    pretrainer.fit(
        train,
        epochs=-(-config.steps // len(train)),
        # The progress bar then shows the steps that will run.
        steps_per_epoch=config.steps if config.steps < len(train) else None,
        validation_data=held_out,
        callbacks=_callbacks(config, folder),
        verbose=verbose,
    )
    results: Config = {
        "steps": config.steps,
        "tokens": config.steps * config.batch_size * config.sequence_length,
        "parameters": pretrainer.backbone.count_params(),
    }
    if held_out is not None:
        results["held_out"] = pretrainer.evaluate(
            held_out, return_dict=True, verbose=0
        )
    _save(pretrainer, tokenizer, folder)
    folder.finish(results)
    return results


def _tokenizer(config: PretrainingConfig, vocabulary: AnyPath) -> Any:
    return tokenizer_class()(
        str(vocabulary),
        lowercase=config.lowercase,
        strip_accents=config.strip_accents,
    )


def _prepare(
    config: PretrainingConfig,
    corpus: Corpus,
    folder: PretrainingFolder,
    progress: bool,
) -> Any:
    """Makes the vocabulary and the sequences, unless they exist."""
    options: Config = {
        "workers": config.workers,
        "progress": progress,
        "column": config.column,
        "errors": config.errors,
    }
    if not folder.vocabulary.is_file():
        if config.vocabulary is not None:
            tokens = _tokenizer(config, config.vocabulary).get_vocabulary()
        else:
            tokens = data.train_vocabulary(
                corpus.paths,
                config.vocabulary_size,
                lowercase=config.lowercase,
                strip_accents=config.strip_accents,
                **options,
            )
        write_text(folder.vocabulary, "\n".join(tokens) + "\n")
    tokenizer = _tokenizer(config, folder.vocabulary)
    if not folder.sequences.is_dir():
        data.prepare(
            corpus.paths,
            tokenizer,
            folder.sequences,
            sequence_length=config.sequence_length,
            seed=config.seed,
            **options,
        )
    return tokenizer


def _datasets(
    config: PretrainingConfig,
    folder: PretrainingFolder,
    tokenizer: Any,
) -> tuple[data.PretrainingDataset, data.PretrainingDataset | None]:
    boundary = 1 - config.held_out
    train = data.PretrainingDataset(
        folder.sequences, config.batch_size, config.seed, part=(0.0, boundary)
    )
    train.check_tokenizer(tokenizer)
    if not config.held_out:
        return train, None
    return train, data.PretrainingDataset(
        folder.sequences,
        config.batch_size,
        part=(boundary, 1.0),
        shuffle=False,
        drop_remainder=False,
    )


def _callbacks(
    config: PretrainingConfig, folder: PretrainingFolder
) -> list[keras.callbacks.Callback]:
    callbacks = [
        StopAtStep(config.steps),
        keras.callbacks.CSVLogger(folder.log, append=True),
    ]
    if config.tensorboard:
        missing = [
            package
            for package in ("tensorflow", "tensorboard")
            if not _is_installed(package)
        ]
        if not missing:
            callbacks.append(
                keras.callbacks.TensorBoard(
                    str(folder.tensorboard), write_graph=False
                )
            )
        else:
            warnings.warn(
                "The configuration asks for TensorBoard logs, but no logs are "
                f"written. Not installed: {', '.join(missing)}. To disable "
                "this warning, set `tensorboard = false` in the configuration.",
                stacklevel=3,
            )
    backup = BackupAndResume(folder.backup, config.save_every or "epoch")
    return [*callbacks, backup]


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _save(
    pretrainer: Any,
    tokenizer: Any,
    folder: PretrainingFolder,
) -> None:
    with atomic_folder(folder.pretrainer, overwrite=True) as path:
        pretrainer.save_to_preset(path)
    with atomic_folder(folder.backbone, overwrite=True) as path:
        pretrainer.backbone.save_to_preset(path)
        tokenizer.save_to_preset(path)
