"""The head of multiple choice: `SequenceSummary` of `transformers`."""

from typing import Any

from keras_convbert.models.convbert.transformers import config_keys as keys
from keras_convbert.models.convbert.transformers import weight_names as names
from keras_convbert.models.convbert.transformers.files import is_port
from keras_convbert.types import Config


def summary_arguments(config: Config) -> dict[str, Any]:
    """Returns arguments of `ConvBertMultipleChoice` for a `config.json`.

    Raises:
        ValueError: if a setting is not supported.
    """
    defaults = keys.PORT_DEFAULTS if is_port(config) else keys.SUMMARY_DEFAULTS
    settings = {
        **keys.SUMMARY_DEFAULTS,
        **defaults,
        **{key: config[key] for key in keys.SUMMARY_DEFAULTS.keys() & config},
    }
    pooling = settings["summary_type"]
    if pooling not in keys.SUMMARY_TYPES:
        raise ValueError(
            f"Expected 'summary_type' in 'config.json' to be one of "
            f"{[*keys.SUMMARY_TYPES]}. Received: summary_type={pooling!r}"
        )
    projection = bool(settings["summary_use_proj"])
    if projection and settings["summary_proj_to_labels"]:
        raise ValueError(
            "Expected 'summary_proj_to_labels' in 'config.json' to be False, "
            "since the projection of ConvBertMultipleChoice keeps the width. "
            "Received: summary_proj_to_labels=True"
        )
    activation = settings["summary_activation"]
    if activation and activation not in names.HF_ACTIVATIONS:
        raise ValueError(
            "Expected 'summary_activation' in 'config.json' to be one of "
            f"{sorted(names.HF_ACTIVATIONS)}, or none. "
            f"Received: summary_activation={activation!r}"
        )
    return {
        "pooling": keys.SUMMARY_TYPES[pooling],
        "projection": projection,
        "activation": names.HF_ACTIVATIONS[activation] if activation else None,
        "dropout": settings["summary_last_dropout"],
        "first_dropout": settings["summary_first_dropout"],
    }


def summary_settings(arguments: Config) -> Config:
    """Returns the `config.json` entries for a `ConvBertMultipleChoice`.

    Args:
        arguments: dict. The config of the task.

    Raises:
        ValueError: if `transformers` does not have the activation.
    """
    activations = {
        ours: theirs for theirs, ours in reversed(names.HF_ACTIVATIONS.items())
    }
    activation = arguments["activation"]
    if activation not in activations:
        raise ValueError(
            "Expected an activation that `transformers` supports, one of "
            f"{sorted(activations)}. Received: activation={activation!r}"
        )
    return {
        "summary_type": arguments["pooling"],
        "summary_use_proj": arguments["projection"],
        "summary_proj_to_labels": False,
        "summary_activation": activations[activation],
        "summary_first_dropout": arguments["first_dropout"],
        "summary_last_dropout": arguments["dropout"],
    }
