"""Each formulation of the convolutions beside the Hugging Face unfold.

    python benchmarks/operators.py [--only "torch eager"] [--quick]

The dynamic convolution includes the softmax of its kernels, in float32, with
six heads of 64 features and kernel size 9; forward, and forward with backward.
The peer is the unfold-and-matmul of `transformers`, written in the same
framework. `bar` is batch 8 and length 512. `lengths` is batch 1 and lengths 32
to 8192, beside self-attention. `depthwise` is the depthwise convolution of the
keys, batch 4, length 512, 768 channels. Each framework has one process, in
which arms take turns. Memory is the rise of the resident set in one call,
results included, and also the size of temporary values where XLA reports it.
Writes `results/operators.json` and `.png`. Takes about 25 minutes on two cores.
"""

import argparse
import functools
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

HERE = pathlib.Path(__file__).parent
FRAMEWORKS = {
    "torch eager": "torch",
    "torch compiled": "torch",
    "jax": "jax",
    "tensorflow graph": "tensorflow",
    "tensorflow xla": "tensorflow",
}
HEADS, FEATURES, TAPS = 6, 64, 9
LENGTHS = (32, 128, 512, 2048, 8192)
OURS = ("naive", "shifts", "blocks", "slices")


class Framework:
    """The operations of one framework, in its own process."""

    def __init__(self, name: str) -> None:
        os.environ["KERAS_BACKEND"] = FRAMEWORKS[name]
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        from keras import ops

        self.name = name
        self.ops = ops
        self.backend = FRAMEWORKS[name]

    def ours(self) -> list[str]:
        names = [n for n in OURS if n != "slices" or self.backend == "torch"]
        if self.name == "torch compiled":
            names.remove("slices")
        return names

    def tensor(self, *shape: int) -> Any:
        import numpy as np

        rng = np.random.default_rng(len(shape))
        return self.ops.convert_to_tensor(
            rng.normal(size=shape).astype("float32")
        )

    def unfold(self, values: Any, kernels: Any) -> Any:
        """Compute the Hugging Face convolution: unfold all spans, multiply."""
        ops = self.ops
        batch, length, channels = values.shape
        taps, left = kernels.shape[-1], (kernels.shape[-1] - 1) // 2
        if self.backend == "torch":
            import torch

            spans = torch.nn.functional.unfold(
                values.transpose(1, 2).contiguous().unsqueeze(-1),
                kernel_size=[taps, 1],
                padding=[left, 0],
            ).transpose(1, 2)
        elif self.backend == "jax":
            import jax

            spans = jax.lax.conv_general_dilated_patches(
                values.transpose(0, 2, 1)[..., None],
                (taps, 1),
                (1, 1),
                ((left, taps // 2), (0, 0)),
            )[..., 0].transpose(0, 2, 1)
        else:
            import tensorflow as tf

            spans = tf.image.extract_patches(
                values[:, :, None, :],
                sizes=[1, taps, 1, 1],
                strides=[1] * 4,
                rates=[1] * 4,
                padding="SAME",
            )
            spans = tf.reshape(spans, (batch, length, taps, channels))
            spans = tf.transpose(spans, (0, 1, 3, 2))
        spans = ops.reshape(
            spans, (batch * length * HEADS, channels // HEADS, taps)
        )
        kernels = ops.reshape(kernels, (-1, taps, 1))
        outputs = ops.matmul(spans, kernels)
        return ops.reshape(outputs, (batch, length, channels))

    def attention(self, values: Any) -> Any:
        """Compute self-attention, whose cost is quadratic in the length."""
        heads = self.ops.reshape(values, (*values.shape[:2], HEADS, FEATURES))
        return self.ops.dot_product_attention(
            heads, heads, heads, flash_attention=False
        )

    def forward(
        self, function: Callable[..., Any], inputs: list[Any]
    ) -> Callable[..., Any]:
        if self.backend == "torch":
            import torch

            run = self._compiled(function)

            def forward() -> Any:
                with torch.no_grad():
                    return run(*inputs)

            return forward
        return self._called(self._compiled(function), inputs)

    def backward(
        self, function: Callable[..., Any], inputs: list[Any]
    ) -> Callable[..., Any]:
        """Return a function that runs forward and computes all gradients."""
        if self.backend == "torch":
            import torch

            run = self._compiled(function)
            leaves = [x.clone().requires_grad_() for x in inputs]
            upstream = torch.ones_like(run(*leaves))

            def step() -> Any:
                outputs = run(*leaves)
                return outputs, *torch.autograd.grad(outputs, leaves, upstream)

            return step
        if self.backend == "jax":
            import jax

            def both(*tensors: Any) -> Any:
                outputs, pull = jax.vjp(function, *tensors)
                return outputs, *pull(self.ops.ones_like(outputs))

        else:
            import tensorflow as tf

            def both(*tensors: Any) -> Any:
                with tf.GradientTape() as tape:
                    tape.watch(tensors)
                    outputs = function(*tensors)
                return outputs, *tape.gradient(outputs, tensors)

        return self._called(self._compiled(both), inputs)

    def _called(self, run: Any, inputs: list[Any]) -> Callable[..., Any]:
        if self.backend == "jax":
            import jax

            called = lambda: jax.block_until_ready(run(*inputs))  # noqa: E731
            called.temporary = (  # type: ignore[attr-defined]
                run.lower(*inputs).compile().memory_analysis()
            ).temp_size_in_bytes / 2**20
            return called
        return lambda: run(*inputs)

    def _compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if self.name == "torch compiled":
            import torch

            torch._dynamo.reset()
            return torch.compile(function, fullgraph=True)
        if self.backend == "jax":
            import jax

            return jax.jit(function)
        if self.backend == "tensorflow":
            import tensorflow as tf

            xla = self.name == "tensorflow xla"
            return tf.function(function, jit_compile=xla)
        return function


def measured(
    make: Callable[..., Any], arms: dict[str, Any], rounds: int, budget: float
) -> dict[str, Any]:
    """Return the times and memory of each arm after `make`."""
    import measure

    ready = {name: make(*arm) for name, arm in arms.items()}
    result = measure.in_turns(ready, rounds, budget)
    for name, arm in ready.items():
        result[name]["peak_mib"] = measure.peak_memory(arm)
        if hasattr(arm, "temporary"):
            result[name]["temporary_mib"] = round(arm.temporary, 1)
    return result


def dynamic_arms(frame: Framework, batch: int, length: int) -> dict[str, Any]:
    from keras_convbert import config
    from keras_convbert import ops as convolutions

    inputs = [
        frame.tensor(batch, length, HEADS * FEATURES),
        frame.tensor(batch, length, HEADS, TAPS),
    ]

    def with_softmax(
        convolve: Callable[..., Any], values: Any, logits: Any
    ) -> Any:
        return convolve(values, frame.ops.softmax(logits, axis=-1))

    def forced(name: str, values: Any, kernels: Any) -> Any:
        config.set_implementation("dynamic_conv1d", name)
        return convolutions.dynamic_conv1d(values, kernels)

    arms = {"unfold": functools.partial(with_softmax, frame.unfold)}
    for name in frame.ours():
        convolve = functools.partial(forced, name)
        arms[name] = functools.partial(with_softmax, convolve)
    return {name: (arm, inputs) for name, arm in arms.items()}


def depthwise_arms(frame: Framework) -> dict[str, Any]:
    from keras_convbert.ops import depthwise_conv

    inputs = [frame.tensor(4, 512, 768), frame.tensor(TAPS, 768)]
    arms = {"native": depthwise_conv._native}
    arms["shifts"] = depthwise_conv._shifts_with_gradient
    left = (TAPS - 1) // 2
    return {
        name: (lambda x, k, f=f: f(x, k, left, TAPS // 2), inputs)
        for name, f in arms.items()
    }


def child(name: str, quick: bool) -> dict[str, Any]:
    frame = Framework(name)
    rounds, budget = (3, 1) if quick else (15, 40)
    batch = 1 if quick else 8
    result: dict[str, Any] = {}
    for pas, make in (("forward", frame.forward), ("both", frame.backward)):
        bar = dynamic_arms(frame, batch, 64 if quick else 512)
        lengths = {}
        for length in LENGTHS[: 2 if quick else None]:
            arms = dynamic_arms(frame, 1, length)
            values = arms["unfold"][1][:1]
            arms["self-attention"] = (frame.attention, values)
            lengths[length] = measured(make, arms, rounds, budget / 2)
            print(f"{name}, {pas}, length {length}", file=sys.stderr)
        result[pas] = {
            "bar": measured(make, bar, rounds, budget),
            "lengths": lengths,
            "depthwise": measured(make, depthwise_arms(frame), rounds, budget),
        }
    return result


def table(results: dict[str, Any]) -> str:
    lines = ["| framework | pass | form | ms | of unfold's | MiB | of it |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name, passes in results.items():
        for pas, parts in passes.items():
            peer = parts["bar"]["unfold"]
            for form, got in parts["bar"].items():
                faster = peer["median"] / got["median"]
                share = got["peak_mib"] / peer["peak_mib"]
                lines.append(
                    f"| {name} | {pas} | {form} | {got['median']} | "
                    f"{faster:.1f} times as fast | {got['peak_mib']} | "
                    f"{share:.2f} |"
                )
    return "\n".join(lines)


def plot(results: dict[str, Any], path: pathlib.Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(results), figsize=(4 * len(results), 4), squeeze=False
    )
    for axis, (name, passes) in zip(axes[0], results.items(), strict=True):
        lengths = passes["both"]["lengths"]
        for form in next(iter(lengths.values())):
            times = [lengths[length][form]["median"] for length in lengths]
            axis.loglog([int(n) for n in lengths], times, "o-", label=form)
        axis.set_title(name)
        axis.set_xlabel("length")
    axes[0][0].set_ylabel("ms, forward and backward, batch 1")
    axes[0][-1].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=FRAMEWORKS, action="append")
    parser.add_argument("--quick", action="store_true", help="tiny sizes")
    parser.add_argument("--output", type=pathlib.Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    if options.child:
        print(json.dumps(child(options.child, options.quick)))
        return
    import machine

    folder = machine.folder(options.output, options.quick or bool(options.only))
    results = {}
    for name in options.only or FRAMEWORKS:
        command = [sys.executable, __file__, "--child", name]
        process = subprocess.run(
            command + ["--quick"] * options.quick,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        results[name] = json.loads(process.stdout.splitlines()[-1])
    print(table(results))
    report = {"machine": machine.describe(), "results": results}
    text = json.dumps(report, indent=1) + "\n"
    (folder / "operators.json").write_text(text)
    plot(results, folder / "operators.png")


if __name__ == "__main__":
    main()
