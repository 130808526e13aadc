"""A vocabulary of single letters, and texts over it."""

import numpy as np

from keras_convbert.models import ConvBertTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [*"abcdefghijklmnop"]
VOCABULARY = SPECIAL + LETTERS


def tokenizer(**options):
    return ConvBertTokenizer(VOCABULARY, **options)


def letters(rows, longest=8, seed=0):
    """Texts such as `"c a p"`, of one letter at least."""
    generator = np.random.default_rng(seed)
    return [
        " ".join(generator.choice(LETTERS, generator.integers(1, longest)))
        for _ in range(rows)
    ]
