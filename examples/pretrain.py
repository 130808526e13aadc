"""Pretraining by the recipe of the command line, from Python.

    python examples/pretrain.py wikipedia_en_docs.txt.xz --output pretrained \
        [--config config.toml] [--dry-run]

It is `keras-convbert pretrain`, with a configuration that suits a few minutes
of a laptop where none is given: 2 layers of 128, 300 steps of 16 sequences of
64 tokens. Killed and started again it goes on.

On the 8.3 MB of compressed Wikipedia (6.5 M word pieces),
with two cores of an AMD EPYC that had other work too, on TensorFlow, it took 4
and a half minutes, 3 of them training, to a held-out `mlm_loss` of 6.62 and an
`rtd_auc` of 0.55, which is hardly more than the frequency of words: more takes
hours. `--dry-run` had said 100 seconds, of steps alone.
"""

import argparse
import os

SMALL = {
    "model": {
        "num_layers": 2,
        "num_heads": 4,
        "hidden_dim": 128,
        "intermediate_dim": 512,
    },
    "vocabulary_size": 4096,
    "sequence_length": 64,
    "generator_scale": 0.5,
    "batch_size": 16,
    "learning_rate": 1e-3,
    "steps": 300,
    "held_out": 0.002,
    "save_every": 100,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("corpus", nargs="+", metavar="CORPUS")
    parser.add_argument("--output", default="pretrained")
    parser.add_argument("--config", default=SMALL)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    from keras_convbert import recipes

    if options.dry_run:
        plan = recipes.plan_pretraining(
            options.corpus, options.config, options.output
        )
        print(plan)
        return
    results = recipes.pretrain(options.corpus, options.output, options.config)
    print(f"{results['tokens']:,} tokens seen; held out:")
    for name, value in results["held_out"].items():
        print(f"  {name} {value:.3f}")


if __name__ == "__main__":
    main()
