"""The encoders of `transformers`, and the base of all arms on PyTorch."""

import contextlib
from collections.abc import Callable
from typing import Any

import cases
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ROWS_OF_PROFILE = 14


class TorchArm:
    """A PyTorch step or forward pass: `run` starts it, `wait` ends it."""

    parameters: int
    temporary: int | None = None

    _call: Callable[[], Any]

    def run(self) -> Any:
        return self._call()

    def wait(self) -> None:
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    def device_memory(self) -> float | None:
        if DEVICE != "cuda":
            return None
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        self.run()
        self.wait()
        peak = torch.cuda.max_memory_allocated()
        return round((peak - before) / 2**20, 1)

    def profile(self) -> list[dict[str, Any]]:
        """Return the operators of one call, sorted by their own time."""
        kinds = [torch.profiler.ProfilerActivity.CPU]
        if DEVICE == "cuda":
            kinds.append(torch.profiler.ProfilerActivity.CUDA)
        with torch.profiler.profile(activities=kinds) as recorded:
            self.run()
            self.wait()
        own = (
            "self_device_time_total"
            if DEVICE == "cuda"
            else ("self_cpu_time_total")
        )
        rows = sorted(
            recorded.key_averages(), key=lambda row: -getattr(row, own)
        )
        total = sum(getattr(row, own) for row in rows) or 1
        return [
            {
                "operator": row.key,
                "ms": round(getattr(row, own) / 1e3, 1),
                "share": round(getattr(row, own) / total, 3),
                "calls": row.count,
            }
            for row in rows[:ROWS_OF_PROFILE]
        ]


class Peer(TorchArm):
    """ConvBERT or BERT of `transformers`, with random weights."""

    def __init__(
        self, arm: cases.Arm, case: cases.Case, config: dict[str, Any]
    ) -> None:
        self._model = _model(arm.model, config).to(DEVICE)
        self.parameters = sum(p.numel() for p in self._model.parameters())
        self._half = case.dtype == "bfloat16"
        self._run = self._model
        ids = cases.token_ids(case, config["vocabulary_size"])
        ids = torch.tensor(ids, device=DEVICE, dtype=torch.long)
        self._inputs = {
            "input_ids": ids,
            "token_type_ids": torch.zeros_like(ids),
            "attention_mask": torch.ones_like(ids),
        }
        training = case.phase == "training"
        self._model.train(training)
        self._call = self._step if training else self._forward
        if training:
            self._optimizer = torch.optim.AdamW(self._model.parameters(), 1e-5)
        elif self._half:
            self._model.to(torch.bfloat16)
        if arm.mode == "compiled":
            self._run = torch.compile(self._model)

    def _forward(self) -> Any:
        with torch.inference_mode():
            return self._run(**self._inputs).last_hidden_state

    def _step(self) -> None:
        self._optimizer.zero_grad()
        with autocast(self._half):
            outputs = self._run(**self._inputs).last_hidden_state
        outputs.float().square().mean().backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()


class KerasArm(TorchArm):
    """A Keras model on PyTorch, with a Keras optimizer or none."""

    def __init__(
        self,
        model: Any,
        inputs: dict[str, Any],
        optimizer: Any,
        mode: str,
        loss: Any,
    ) -> None:
        self.parameters = model.count_params()
        self._model = model
        self._inputs = inputs
        self._optimizer = optimizer

        def forward(inputs: dict[str, Any]) -> Any:
            return model(inputs, training=False)

        def forward_to_loss(inputs: dict[str, Any]) -> Any:
            return loss(model(inputs, training=True))

        function = forward_to_loss if optimizer else forward
        if mode == "compiled":
            function = torch.compile(function)
        self._run = function
        self._call = self._step if optimizer else self._forward

    def _forward(self) -> Any:
        with torch.inference_mode():
            return self._run(self._inputs)

    def _step(self) -> None:
        self._model.zero_grad()
        self._run(self._inputs).backward()
        learning = self._model.trainable_variables
        with torch.no_grad():
            gradients = [v.value.grad for v in learning]
            self._optimizer.apply(gradients, learning)


def autocast(half: bool) -> Any:
    if not half:
        return contextlib.nullcontext()
    return torch.autocast(DEVICE, dtype=torch.bfloat16)


def _model(kind: str, config: dict[str, Any]) -> torch.nn.Module:
    import transformers

    from keras_convbert.models.convbert.transformers.weight_names import (
        HF_ARGUMENTS,
    )

    arguments = {
        theirs: config[ours]
        for theirs, ours in HF_ARGUMENTS.items()
        if ours in config
    }
    if kind == "BertModel":
        arguments["attn_implementation"] = "sdpa"
        made = transformers.BertConfig(**arguments)
        return transformers.BertModel(made, add_pooling_layer=False)
    arguments["embedding_size"] = config.get(
        "embedding_dim", config["hidden_dim"]
    )
    return transformers.ConvBertModel(transformers.ConvBertConfig(**arguments))
