"""What training needs beside a model: optimizers and schedules."""

from keras_convbert.training.adamw import AdamW
from keras_convbert.training.warmup_linear_decay import WarmupLinearDecay

__all__ = ["AdamW", "WarmupLinearDecay"]
