"""An optimizer step, beside the optimizers of Keras and PyTorch.

    python benchmarks/optimizer.py [--output benchmarks/results]

`training.AdamW` runs on the torch backend with 5.3 million parameters in 89
weights, and clips gradients by their global norm. Arms take turns. To make the
allocator keep its memory, as `make` does, set `MALLOC_TOP_PAD_=268435456`.
Writes `results/optimizer.json`. Takes a minute.
"""

import argparse
import json
import os
import pathlib
from collections.abc import Callable

os.environ["KERAS_BACKEND"] = "torch"

import keras
import machine
import measure
import torch

from keras_convbert.training import AdamW

HERE = pathlib.Path(__file__).parent
LAYER = [(256, 256), (256,), (256,), (256,)]
FEED_FORWARD = [(256, 1024), (1024,), (1024, 256), (256,)]
SHAPES = [(8192, 128), *LAYER * 16, *FEED_FORWARD * 6]


def keras_step(optimizer: keras.optimizers.Optimizer) -> Callable[[], object]:
    variables = [
        keras.Variable(torch.randn(shape) / 50, name="kernel")
        for shape in SHAPES
    ]
    gradients = [torch.randn(shape) for shape in SHAPES]
    optimizer.build(variables)
    return lambda: optimizer.apply(gradients, variables)


def torch_step(**options: bool) -> Callable[[], object]:
    parameters = [torch.nn.Parameter(torch.randn(s) / 50) for s in SHAPES]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    optimizer = torch.optim.AdamW(parameters, 1e-3, eps=1e-6, **options)

    def step() -> None:
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", default=HERE / "results", type=pathlib.Path)
    folder = parser.parse_args().output
    options = {"epsilon": 1e-6, "global_clipnorm": 1.0}
    arms = {
        "keras_convbert": keras_step(AdamW(1e-3)),
        "keras": keras_step(keras.optimizers.AdamW(1e-3, **options)),
        "torch, fused": torch_step(fused=True),
        "torch, foreach": torch_step(foreach=True),
    }
    results = measure.in_turns(arms, rounds=41, budget=120)
    for name, times in results.items():
        print(f"{name}: {times['median']} ms")
    report = {
        "machine": machine.describe(),
        "command": machine.command(),
        "kept memory": os.environ.get("MALLOC_TOP_PAD_"),
        "results": results,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "optimizer.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
