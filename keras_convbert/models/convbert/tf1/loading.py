"""Loads models from TensorFlow 1 checkpoints of the authors."""

import warnings
from typing import Any
from typing import Self

import keras
import keras_hub

from keras_convbert.checkpoints.assignment import WeightMapping
from keras_convbert.checkpoints.assignment import assign_arrays
from keras_convbert.checkpoints.errors import CheckpointError
from keras_convbert.checkpoints.tf1 import Tf1Checkpoint
from keras_convbert.compat import without_random_values
from keras_convbert.files import AnyPath
from keras_convbert.models.convbert.tf1 import weight_names as names
from keras_convbert.models.convbert.tf1.arguments import tf1_arguments
from keras_convbert.models.convbert.tf1.arguments import tf1_table
from keras_convbert.types import Config
from keras_convbert.types import Mixin


class BackboneFromTf1(Mixin):
    """`from_tf1_checkpoint` of a backbone."""

    @classmethod
    def from_tf1_checkpoint(
        cls,
        prefix: AnyPath,
        config: Config | AnyPath | None = None,
        **kwargs: Any,
    ) -> Self:
        """Loads a backbone from the encoder of a checkpoint of the authors.

        It loads the arrays with the prefix `electra/`. The names of the
        others (generator, heads, optimizer) are logged at level `INFO` to the
        logger `keras_convbert`. Padding leaks into the convolution, as in the
        code of the authors (`mask_conv=False`).

        Args:
            prefix: path. Common prefix of the files of the checkpoint,
                without `.index`.
            config: dict, or path of a JSON file, with arguments under the
                names of the authors (`num_attention_heads`, `head_ratio`,
                `hidden_act`, …) and `embedding_size`. Missing arguments are
                read from array shapes. Shapes give the number of heads only
                with a convolution branch, and after the bottleneck;
                `num_heads` and `head_ratio` are chosen to match it. Defaults
                to `None`.
            **kwargs: arguments of `ConvBertBackbone` that replace those.

        Returns:
            A `ConvBertBackbone`.

        Raises:
            CheckpointError: if the files cannot be read, or an array is
                missing, has an unexpected shape, or is unknown. It is a
                `ValueError`.
            FileNotFoundError: if there is no such checkpoint.
            ImportError: if TensorFlow, which reads it, is not installed.
            ValueError: if the number of heads is unknown.
        """
        checkpoint = Tf1Checkpoint(prefix)
        model = _backbone(cls, checkpoint, config, **kwargs)
        _assign(checkpoint, model, tf1_table(model.num_layers))
        return model


class PretrainerFromTf1(Mixin):
    """`from_tf1_checkpoint` of a pretrainer."""

    @classmethod
    def from_tf1_checkpoint(
        cls,
        prefix: AnyPath,
        config: Config | AnyPath | None = None,
        **kwargs: Any,
    ) -> Self:
        """Loads a pretrainer from a pretraining checkpoint of the authors.

        It loads the encoder, the generator and both heads. The names of the
        optimizer arrays are logged.

        Args:
            prefix: path. Common prefix of the files of the checkpoint,
                without `.index`.
            config: dict, or path of a JSON file, with arguments under the
                names of the authors, as in
                `ConvBertBackbone.from_tf1_checkpoint`. Defaults to `None`.
            **kwargs: arguments of `ConvBertPretrainer`, such as
                `preprocessor`; and `dtype` of the backbone.

        Returns:
            A `ConvBertPretrainer`. Padding leaks into the convolution, as in
            the code of the authors (`mask_conv=False`).

        Raises:
            CheckpointError: if the files cannot be read, or an array is
                missing, has an unexpected shape, or is unknown. It is a
                `ValueError`.
            FileNotFoundError: if there is no such checkpoint.
            ImportError: if TensorFlow, which reads it, is not installed.
        """
        checkpoint = Tf1Checkpoint(prefix)
        dtype = kwargs.pop("dtype", None)
        encoder = _backbone(cls.backbone_cls, checkpoint, config, dtype=dtype)
        generator = tf1_arguments(checkpoint, config, names.TF1_GENERATOR)
        task = cls(
            encoder,
            **{
                "generator_scale": generator["hidden_dim"] / encoder.hidden_dim,
                **kwargs,
            },
        )
        layers = encoder.num_layers
        of_generator = tf1_table(layers, names.TF1_GENERATOR, "generator/")
        _assign(
            checkpoint,
            task,
            tf1_table(layers)
            + of_generator
            + _mappings(names.TF1_MASKED_LM_HEAD)
            + _mappings(names.TF1_DETECTION_HEAD),
        )
        return task


class MaskedLMFromTf1(Mixin):
    """`from_tf1_checkpoint` of a masked LM."""

    @classmethod
    def from_tf1_checkpoint(
        cls,
        prefix: AnyPath,
        config: Config | AnyPath | None = None,
        **kwargs: Any,
    ) -> Self:
        """Loads a masked LM from the generator of a checkpoint of the authors.

        Args:
            prefix: path. Common prefix of the files of the checkpoint,
                without `.index`.
            config: dict, or path of a JSON file, with arguments of the
                discriminator under the names of the authors, as in
                `ConvBertBackbone.from_tf1_checkpoint`. The smaller sizes of
                the generator are read from its arrays. Defaults to `None`.
            **kwargs: arguments of `ConvBertMaskedLM`, such as `preprocessor`;
                and `dtype` of the backbone.

        Returns:
            A `ConvBertMaskedLM`.

        Raises:
            CheckpointError: if the files cannot be read, or an array is
                missing, has an unexpected shape, or is unknown. It is a
                `ValueError`.
            FileNotFoundError: if there is no such checkpoint.
            ImportError: if TensorFlow, which reads it, is not installed.
        """
        checkpoint = Tf1Checkpoint(prefix)
        dtype = kwargs.pop("dtype", None)
        encoder = _backbone(
            cls.backbone_cls,
            checkpoint,
            config,
            names.TF1_GENERATOR,
            dtype=dtype,
        )
        task = cls(encoder, **kwargs)
        _assign(
            checkpoint,
            task,
            tf1_table(encoder.num_layers, names.TF1_GENERATOR)
            + _mappings(names.TF1_MASKED_LM_HEAD),
            names.TF1_DISCRIMINATOR,
        )
        return task


class TextClassifierFromTf1(Mixin):
    """`from_tf1_checkpoint` of a classifier."""

    @classmethod
    def from_tf1_checkpoint(
        cls,
        prefix: AnyPath,
        config: Config | AnyPath | None = None,
        task_name: str | None = None,
        **kwargs: Any,
    ) -> Self:
        """Loads a classifier from a checkpoint of the authors.

        Args:
            prefix: path. Common prefix of the files of the checkpoint,
                without `.index`.
            config: dict, or path of a JSON file, with arguments under the
                names of the authors, as in
                `ConvBertBackbone.from_tf1_checkpoint`. Defaults to `None`.
            task_name: string. The fine-tuned task whose head to load, such as
                `"mnli"`; `None` loads the only one. Defaults to `None`.
            **kwargs: arguments of `ConvBertTextClassifier`, such as
                `preprocessor`; and `dtype` of the backbone. `num_classes`
                gives a new head, and a warning.

        Returns:
            A `ConvBertTextClassifier` with the head `"linear"`.

        Raises:
            CheckpointError: if the files cannot be read, or an array is
                missing, has an unexpected shape, or is unknown. It is a
                `ValueError`.
            FileNotFoundError: if there is no such checkpoint.
            ImportError: if TensorFlow, which reads it, is not installed.
            ValueError: if `task_name` is not a task in the file, or the file
                has several tasks or no task and `task_name` or `num_classes`
                is missing.
        """
        checkpoint = Tf1Checkpoint(prefix)
        dtype = kwargs.pop("dtype", None)
        is_new = "num_classes" in kwargs
        head: list[WeightMapping] = []
        if not is_new:
            task_prefix = _task_prefix(checkpoint, task_name)
            head = [
                mapping._replace(name=f"{task_prefix}{mapping.name}")
                for mapping in _mappings(names.TF1_CLASSIFIER_HEAD)
            ]
            kwargs["num_classes"] = checkpoint.shapes[head[-1].name][0]
        encoder = _backbone(cls.backbone_cls, checkpoint, config, dtype=dtype)
        task = cls(encoder, **kwargs)
        table = tf1_table(encoder.num_layers)
        if is_new:
            _assign(checkpoint, encoder, table)
            warnings.warn(
                f"The head of {cls.__name__} is new and has random weights, "
                "since `num_classes` was given.",
                stacklevel=2,
            )
        else:
            _assign(checkpoint, task, table + head)
        return task


def _backbone(
    cls: type[keras_hub.models.Backbone],
    checkpoint: Tf1Checkpoint,
    config: Config | AnyPath | None,
    body: str = names.TF1_ENCODER,
    **kwargs: Any,
) -> Any:
    found = tf1_arguments(checkpoint, config, body)
    with without_random_values():
        return cls(**{**found, "mask_conv": False, **kwargs})


def _assign(
    checkpoint: Tf1Checkpoint,
    model: keras.Model,
    table: list[WeightMapping],
    *ignored_patterns: str,
) -> None:
    others = (*names.TF1_IGNORED, *ignored_patterns)
    assign_arrays(checkpoint, model.weights, table, others)


def _mappings(entries: tuple[Any, ...]) -> list[WeightMapping]:
    return [WeightMapping(*entry) for entry in entries]


def _task_prefix(checkpoint: Tf1Checkpoint, task_name: str | None) -> str:
    bias = names.TF1_CLASSIFIER_HEAD[-1][0]
    found = {
        name.removeprefix(names.TF1_TASKS).removesuffix(f"/{bias}")
        for name in checkpoint.shapes
        if name.startswith(names.TF1_TASKS) and name.endswith(f"/{bias}")
    }
    if task_name is None and len(found) == 1:
        (task_name,) = found
    if task_name not in found:
        raise CheckpointError(
            f"Expected `task_name` to be one of {sorted(found)}, the "
            f"classifiers in {checkpoint}, or `num_classes` to create a new "
            f"head. Received: task_name={task_name!r}"
        )
    return f"{names.TF1_TASKS}{task_name}/"
