"""Pretraining hyperparameters of each model size in the paper."""

PAPER_SETTINGS: dict[str, dict[str, float | int]] = {
    "convbert_small": {
        "learning_rate": 3e-4,
        "batch_size": 128,
        "generator_scale": 1 / 4,
    },
    "convbert_medium_small": {
        "learning_rate": 5e-4,
        "batch_size": 128,
        "generator_scale": 1 / 4,
    },
    "convbert_base": {
        "learning_rate": 2e-4,
        "batch_size": 256,
        "generator_scale": 1 / 3,
    },
}
MOST_WARMUP_STEPS = 10_000
