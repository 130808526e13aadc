"""The architectures of the paper, without weights."""

from typing import Any

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "convbert_small": {
        "description": "12 layers, 13.1 M parameters",
        "params": 13_143_768,
        "config": {
            "vocabulary_size": 30522,
            "num_layers": 12,
            "num_heads": 4,
            "hidden_dim": 256,
            "intermediate_dim": 1024,
            "embedding_dim": 128,
        },
    },
    "convbert_medium_small": {
        "description": "12 layers, 17.5 M parameters, feed-forward in 2 groups",
        "params": 17_475_888,
        "config": {
            "vocabulary_size": 30522,
            "num_layers": 12,
            "num_heads": 8,
            "hidden_dim": 384,
            "intermediate_dim": 1536,
            "embedding_dim": 128,
            "num_groups": 2,
        },
    },
    "convbert_base": {
        "description": "12 layers, 105.7 M parameters",
        "params": 105_680_520,
        "config": {
            "vocabulary_size": 30522,
            "num_layers": 12,
            "num_heads": 12,
            "hidden_dim": 768,
            "intermediate_dim": 3072,
        },
    },
}
