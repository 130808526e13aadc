"""Small corpora and the tokenizer for them."""

import numpy as np

from keras_convbert.data import prepare
from keras_convbert.models import ConvBertTokenizer

TOKENS = "[PAD] [UNK] [CLS] [SEP] [MASK] . a b c d e f g h ##a ##b ##c".split()


def tokenizer(**options):
    return ConvBertTokenizer(TOKENS, **options)


def text(documents=20, seed=0):
    """Documents of lines of words, with blank lines between them."""
    rng = np.random.default_rng(seed)
    return "\n\n".join(
        "\n".join(
            " ".join(rng.choice(list("abcdefgh."), size=rng.integers(1, 12)))
            for _ in range(rng.integers(1, 9))
        )
        for _ in range(documents)
    )


def shards(folder, documents=20, **options):
    """A folder of prepared rows of 16 tokens."""
    (folder / "corpus.txt").write_text(text(documents), encoding="utf-8")
    options = {"sequence_length": 16, "workers": 1, **options}
    prepare(
        folder / "corpus.txt",
        tokenizer(),
        folder / "shards",
        progress=False,
        **options,
    )
    return folder / "shards"
