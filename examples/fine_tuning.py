"""Options, training and learning curves of the fine-tuning examples.

Functions import Keras only after `--backend` has selected the backend.
"""

import argparse
import json
import os
import pathlib
from typing import Any

import numpy as np

VOCABULARY_SIZE = 4096
SIZES: dict[str, Any] = {
    "num_layers": 2,
    "num_heads": 4,
    "hidden_dim": 128,
    "intermediate_dim": 512,
}
PATIENCE = 3


def parser(description: str, output: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=description.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    made.add_argument("--data", required=True, metavar="DIR")
    made.add_argument("--preset", help="folder or hf://user/model")
    made.add_argument(
        "--output",
        default=output,
        help="folder for the results; its predictions are from the last seed",
    )
    made.add_argument("--backend", choices=["tensorflow", "jax", "torch"])
    made.add_argument(
        "--epochs", type=int, default=3, help="epochs that train all weights"
    )
    made.add_argument(
        "--frozen-epochs",
        type=int,
        default=0,
        help="epochs before these with a frozen encoder",
    )
    made.add_argument(
        "--unfreeze-epochs",
        type=int,
        default=0,
        help="epochs that train the top block, then the top two blocks, and "
        "so on, before all weights are trained",
    )
    made.add_argument(
        "--batch-size", type=int, default=32, help="samples per step"
    )
    made.add_argument(
        "--learning-rate",
        type=float,
        default=3e-4,
        help="peak learning rate of the head",
    )
    made.add_argument(
        "--layer-decay",
        type=float,
        default=0.8,
        help="ratio of the learning rates of a layer and the layer above it",
    )
    made.add_argument(
        "--sequence-length", type=int, default=128, help="in tokens"
    )
    made.add_argument("--limit", type=int, help="number of training samples")
    made.add_argument(
        "--seeds",
        type=int,
        default=1,
        help="number of runs, with one seed each",
    )
    return made


def parse(made: argparse.ArgumentParser) -> argparse.Namespace:
    options = made.parse_args()
    # Keras reads this once, when it is imported.
    if options.backend:
        os.environ["KERAS_BACKEND"] = options.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return options


def from_scratch(texts: list[str], output: pathlib.Path) -> tuple[Any, Any]:
    """Returns a small new backbone and a tokenizer trained on the texts."""
    from keras_convbert import data
    from keras_convbert import models

    corpus = output / "corpus.txt"
    corpus.write_text("\n".join(texts), encoding="utf-8")
    vocabulary = data.train_vocabulary([corpus], VOCABULARY_SIZE)
    backbone = models.ConvBertBackbone(vocabulary_size=len(vocabulary), **SIZES)
    return backbone, models.ConvBertTokenizer(vocabulary)


def train(
    task: Any,
    options: argparse.Namespace,
    samples: tuple[Any, Any],
    validation_data: tuple[Any, Any],
    monitor: str,
    **compiling: Any,
) -> list[float]:
    """Trains the task, restores the best epoch, and returns the curve.

    Trains the head alone for `frozen_epochs`, then unfreezes one block after
    another from the top for `unfreeze_epochs` each, then trains all weights.
    During training, `best.weights.h5` in the output has the best epoch.

    Returns:
        The metric `monitor` after each epoch.
    """
    import keras

    from keras_convbert.training import AdamW
    from keras_convbert.training import LayerwiseDecay
    from keras_convbert.training import WarmupLinearDecay

    # The labels of a question answerer are a dict of lists.
    labels = samples[1]
    labels = next(iter(labels.values())) if isinstance(labels, dict) else labels
    steps = -(-len(labels) // options.batch_size)
    blocks = task.backbone.num_layers
    phases = [
        (options.frozen_epochs, 0),
        *((options.unfreeze_epochs, learning) for learning in range(1, blocks)),
        (options.epochs, None),
    ]
    kept = pathlib.Path(options.output) / "best.weights.h5"
    kept.unlink(missing_ok=True)
    best = keras.callbacks.ModelCheckpoint(
        kept,
        monitor=monitor,
        mode="max",
        save_best_only=True,
        save_weights_only=True,
    )
    decay = LayerwiseDecay(blocks, decay=options.layer_decay)
    curve = []
    for epochs, learning in phases:
        if not epochs:
            continue
        set_learning(task.backbone, learning)
        total = steps * epochs
        schedule = WarmupLinearDecay(
            options.learning_rate,
            warmup_steps=total // 10,
            total_steps=total,
        )
        task.compile(AdamW(schedule, layerwise_decay=decay), **compiling)
        early = keras.callbacks.EarlyStopping(
            monitor, mode="max", patience=PATIENCE
        )
        history = task.fit(
            *samples,
            batch_size=options.batch_size,
            epochs=epochs,
            validation_data=validation_data,
            callbacks=[best, early],
            verbose=2,
        )
        curve += history.history[monitor]
    task.load_weights(kept)
    return curve


def set_learning(backbone: Any, blocks: int | None) -> None:
    """Unfreezes the top `blocks` blocks, or the whole encoder for `None`."""
    backbone.trainable = True
    if blocks is None:
        return
    highest = [
        f"transformer_layer_{i}"
        for i in range(backbone.num_layers - blocks, backbone.num_layers)
    ]
    for layer in backbone.layers:
        layer.trainable = layer.name in highest


def finish(
    results: list[dict[str, Any]], output: pathlib.Path, metric: str
) -> None:
    """Writes the results and the learning curves, and prints the means."""
    text = json.dumps(results, indent=1) + "\n"
    (output / "results.json").write_text(text)
    _plot(results, output / "learning_curve.png", metric)
    parts = [name for name in results[0] if name not in ("seed", "curve")]
    for part in parts:
        found = [result[part] for result in results]
        print(
            f"{metric}, {part}: {np.mean(found):.4f} ± {np.std(found):.4f} "
            f"over {len(found)} seeds"
        )


def _plot(
    results: list[dict[str, Any]], path: pathlib.Path, metric: str
) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("Skipped the learning curve: matplotlib is not installed.")
        return
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.add_subplot(xlabel="epoch", ylabel=metric)
    for result in results:
        epochs = range(1, len(result["curve"]) + 1)
        axes.plot(epochs, result["curve"], "o-", label=f"seed {result['seed']}")
    axes.legend()
    figure.savefig(path)
