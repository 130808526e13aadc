"""Models small enough to be trained within a test."""

import keras
import numpy as np

from keras_convbert.models import ConvBertBackbone
from keras_convbert.models import ConvBertPretrainer

MASK_ID = 4
SPECIAL_IDS = [0, 2, 3, MASK_ID]
VOCABULARY_SIZE = 40
EAGERLY = keras.backend.backend() == "tensorflow"


def backbone(**options):
    config = {
        "vocabulary_size": VOCABULARY_SIZE,
        "num_layers": 1,
        "num_heads": 4,
        "hidden_dim": 32,
        "intermediate_dim": 64,
        "embedding_dim": 16,
        "kernel_size": 3,
        "max_sequence_length": 32,
    }
    return ConvBertBackbone(**{**config, **options})


def pretrainer(dropout=0.1, **options):
    config = {"mask_token_id": MASK_ID, "special_token_ids": SPECIAL_IDS}
    task = ConvBertPretrainer(
        backbone(dropout=dropout, attention_dropout=dropout),
        compile=False,
        **{**config, **options},
    )
    return compile_cheaply(task, "auto")


def compile_cheaply(task, optimizer):
    """As `eagerly_on_tensorflow`, in a way that a file keeps."""
    task.compile(optimizer, run_eagerly=EAGERLY)
    return task


def eagerly_on_tensorflow(task):
    """It takes longer to trace a tiny model than to run it."""
    task.run_eagerly = EAGERLY
    return task


def sequences(rows=6, length=16, seed=0):
    """`[CLS] … [SEP]`, some of it padded."""
    generator = np.random.default_rng(seed)
    token_ids = generator.integers(5, VOCABULARY_SIZE, (rows, length))
    lengths = generator.integers(length // 2, length + 1, rows)
    padding_mask = np.arange(length) < lengths[:, None]
    token_ids[:, 0] = 2
    token_ids[np.arange(rows), lengths - 1] = 3
    return {
        "token_ids": np.where(padding_mask, token_ids, 0).astype("int32"),
        "segment_ids": np.zeros((rows, length), "int32"),
        "padding_mask": padding_mask.astype("int32"),
    }
