"""Pretrain the model from which the fine-tuning benchmarks start.

    MALLOC_TOP_PAD_=268435456 python benchmarks/fine_tuning_preset.py \
        --corpus wikipedia_en_docs.txt.xz novels_en_docs.txt.xz \
        --output fine_tuning_preset

A ConvBERT with 4 layers, hidden width 128 and a vocabulary of 8,192 is
pretrained by replaced-token detection for 3,000 steps of 16 rows of 128 tokens.
This takes about half an hour on two CPU cores. The output folder is a preset
with a tokenizer. Peers load the same weights through `export_to_transformers`.
"""

import argparse
import json
import os
import pathlib
import tempfile
import time

SEQUENCE_LENGTH = 128
VOCABULARY_SIZE = 8192
# Number of steps over which metrics are averaged.
WINDOW = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", required=True, nargs="+")
    parser.add_argument("--output", required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--backend", default="tensorflow")
    options = parser.parse_args()
    if options.steps % WINDOW or not options.steps:
        parser.error(f"--steps is a multiple of {WINDOW}.")
    os.environ["KERAS_BACKEND"] = options.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as folder:
        pretrain(options, pathlib.Path(folder) / "sequences")


def pretrain(options: argparse.Namespace, sequences: pathlib.Path) -> None:
    import keras
    import machine

    from keras_convbert import data
    from keras_convbert import models
    from keras_convbert.training import AdamW
    from keras_convbert.training import WarmupLinearDecay

    keras.utils.set_random_seed(0)
    output = pathlib.Path(options.output)
    vocabulary = data.train_vocabulary(options.corpus, VOCABULARY_SIZE)
    tokenizer = models.ConvBertTokenizer(vocabulary)
    data.prepare(
        options.corpus, tokenizer, sequences, sequence_length=SEQUENCE_LENGTH
    )
    train, held_out = (
        data.PretrainingDataset(
            sequences, options.batch_size, seed=0, part=part, shuffle=shuffle
        )
        for part, shuffle in (((0.0, 0.99), True), ((0.99, 1.0), False))
    )
    backbone = models.ConvBertBackbone(
        vocabulary_size=len(vocabulary),
        num_layers=4,
        num_heads=4,
        hidden_dim=128,
        intermediate_dim=512,
    )
    pretrainer = models.ConvBertPretrainer(
        backbone,
        generator_scale=0.5,
        preprocessor=models.ConvBertPretrainerPreprocessor(
            tokenizer, SEQUENCE_LENGTH
        ),
        seed=0,
    )
    rate = WarmupLinearDecay(1e-3, options.steps // 20, options.steps)
    pretrainer.compile(AdamW(rate))
    started = time.time()
    before = pretrainer.evaluate(held_out, return_dict=True, verbose=0)
    history = pretrainer.fit(
        train,
        steps_per_epoch=WINDOW,
        epochs=options.steps // WINDOW,
        verbose=2,
    ).history
    after = pretrainer.evaluate(held_out, return_dict=True, verbose=0)
    record = {
        "command": "benchmarks/fine_tuning_preset.py --steps "
        f"{options.steps} --batch-size {options.batch_size} "
        f"--backend {options.backend} --corpus … --output …",
        "machine": machine.describe(),
        "minutes": round((time.time() - started) / 60, 1),
        "tokens": options.steps * options.batch_size * SEQUENCE_LENGTH,
        "parameters": backbone.count_params(),
        "held out before": before,
        "held out after": after,
        "history": {k: [round(v, 4) for v in h] for k, h in history.items()},
    }
    backbone.save_to_preset(output)
    tokenizer.save_to_preset(output)
    results = pathlib.Path(__file__).parent / "results"
    (results / "fine_tuning_preset.json").write_text(
        json.dumps(record, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
