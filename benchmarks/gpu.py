"""All measurements that need a GPU, in one call.

    python benchmarks/gpu.py --output DIR [--sections operator model] \
        [--shards SHARDS --glue GLUE --vocabulary VOCAB --minutes 10] [--quick]

The sections run in this order, on PyTorch and JAX. They do not need TensorFlow.

ceilings   copy bandwidth, and a large matrix product in bfloat16
operator   `dynamic_conv1d` with softmax, each form, beside the unfold, in
           bfloat16: 65,536 tokens at lengths 512, 2048, 8192, and 16,384 at
           length 128; errors against float64; fraction of the bandwidth that
           the required bytes reach
model      `convbert_base` at lengths 512 and 128 and `convbert_small` at 128,
           inference and training step, beside `transformers`; arms without a
           compiler come first, and no arm starts after `--model-seconds`
fit        pretraining of `convbert_small` by `fit`, and by its step alone
learning   `convbert_small` and its attention-only twin, pretrained on prepared
           shards for `--minutes` in total, then fine-tuned on GLUE

Writes `gpu.json` after each section, and prints a table at the end. A section
that fails does not stop the others. On an H200 the first two sections and the
first case of `model` took 8 minutes, most of it for compilation; `fit` and
`learning` need more than 2 minutes each. `--quick` runs all sections with tiny
sizes on a CPU, in 10 minutes.
"""

import argparse
import json
import pathlib
import sys
import time
import traceback
from typing import Any

import encoders
import fit
import learning
import machine
import measure
import model
import operators
import pretraining
import processes
from cases import ARMS
from cases import Case

HERE = pathlib.Path(__file__).parent
PEAK_FLOPS = 989e12
# Batch size per length.
OPERATOR = {512: 128, 8192: 8, 128: 128, 2048: 32}
# Compilation takes seconds per form and length.
LENGTHS = {"torch eager": 4, "torch compiled": 1, "jax": 2}
# In the order of measurement, most important first.
CASES = [
    Case(phase, size, "bfloat16", length, batch)
    for size, length, batch in (("base", 512, 64), ("small", 128, 512))
    for phase in ("training", "inference")
] + [Case(p, "base", "bfloat16", 128, 256) for p in ("training", "inference")]
MODEL_ARMS = sorted(
    (name for name, arm in ARMS.items() if arm.backend != "tensorflow"),
    key=lambda name: (ARMS[name].mode == "compiled", "KerasHub" in name),
)


class Device:
    """The ceilings and operators of one process."""

    def __init__(self, backend: str) -> None:
        self._backend = backend

    def name(self) -> str | None:
        import torch

        if not torch.cuda.is_available():
            return None
        return torch.cuda.get_device_name()

    def ceilings(self, quick: bool) -> dict[str, float]:
        """Return the bytes/s of a copy and the FLOP/s of a product."""
        import torch
        from torch_encoders import DEVICE

        count, side = (2**20, 256) if quick else (2**30, 8192)
        source = torch.ones(count, dtype=torch.bfloat16, device=DEVICE)
        target = torch.empty_like(source)
        square = torch.ones(side, side, dtype=torch.bfloat16, device=DEVICE)
        copied = _seconds(lambda: target.copy_(source), self._wait)
        multiplied = _seconds(lambda: square @ square, self._wait)
        return {
            "copy, bytes a second": 4 * count / copied,
            "product, FLOP a second": 2 * side**3 / multiplied,
        }

    def operator(
        self, framework: str, batch: int, length: int
    ) -> dict[str, dict[str, Any]]:
        """Return times and errors per form, forward and with backward."""
        frame = operators.Framework(framework)
        arms = operators.dynamic_arms(frame, batch, length)
        results: dict[str, dict[str, Any]] = {name: {} for name in arms}
        for name, (function, inputs) in arms.items():
            inputs = [frame.ops.cast(x, "bfloat16") for x in inputs]
            for pas in ("forward", "backward"):
                make = getattr(frame, pas)
                try:
                    run = make(function, inputs)
                    made = run()
                    if pas == "backward":
                        results[name]["errors"] = _errors(inputs, made)
                    del made
                    ms = 1e3 * _seconds(run, self._wait)
                    results[name][f"{pas}, ms"] = round(ms, 4)
                except Exception as error:
                    results[name]["error"] = f"{type(error).__name__}: {error}"
        return results

    def _wait(self) -> None:
        if self._backend == "torch":
            import torch

            if torch.cuda.is_available():
                torch.cuda.synchronize()


def _seconds(run: Any, wait: Any, rounds: int = 7, repeats: int = 5) -> float:
    def several() -> None:
        for _ in range(repeats):
            run()
        wait()

    several()
    times = [measure.milliseconds(several) for _ in range(rounds)]
    return measure.spread(times)["median"] / repeats / 1e3


def _errors(inputs: list[Any], made: tuple[Any, ...]) -> list[float]:
    """Return the errors of the first row relative to the largest value.

    The errors are those of the outputs and of both gradients.
    """
    import keras

    first = [
        keras.ops.convert_to_numpy(keras.ops.cast(x[:1], "float32"))
        for x in (*inputs, *made)
    ]
    exact = in_float64(*first[:2])
    return [
        float(abs(got - want).max() / abs(want).max())
        for got, want in zip(first[2:], exact, strict=True)
    ]


def in_float64(values: Any, logits: Any) -> tuple[Any, ...]:
    """Return outputs and the gradients of their sum, in plain NumPy."""
    import numpy as np

    _, length, heads, taps = logits.shape
    left = (taps - 1) // 2
    values = values.astype("float64").reshape(1, length, heads, -1)
    powers = np.exp(logits.astype("float64"))
    kernels = powers / powers.sum(-1, keepdims=True)
    outputs = np.zeros_like(values)
    to_values, to_kernels = np.zeros_like(values), np.zeros_like(kernels)
    for tap in range(taps):
        shift = tap - left
        here = slice(max(0, -shift), length - max(0, shift))
        seen = slice(max(0, shift), length - max(0, -shift))
        kernel = kernels[:, here, :, tap : tap + 1]
        outputs[:, here] += kernel * values[:, seen]
        to_values[:, seen] += kernel
        to_kernels[:, here, :, tap] = values[:, seen].sum(-1)
    mean = (kernels * to_kernels).sum(-1, keepdims=True)
    flat = (1, length, -1)
    return (
        outputs.reshape(flat),
        to_values.reshape(flat),
        kernels * (to_kernels - mean),
    )


def ceilings(options: argparse.Namespace) -> dict[str, Any]:
    with processes.Workers(Device) as workers:
        told = workers["torch"].ask("ceilings", options.quick)
        return {"device": workers["torch"].ask("name"), **told}


def operator(options: argparse.Namespace) -> dict[str, Any]:
    sizes = {64: 1} if options.quick else OPERATOR
    results: dict[str, dict[str, Any]] = {}
    with processes.Workers(Device) as workers:
        for framework in ("torch eager", "torch compiled", "jax"):
            worker = workers[operators.FRAMEWORKS[framework]]
            for length, batch in [*sizes.items()][: LENGTHS[framework]]:
                forms = worker.ask("operator", framework, batch, length)
                results[f"{framework}, {batch} of {length}"] = {
                    name: beside_floor(got, batch * length, forms, options)
                    for name, got in forms.items()
                }
    return results


def beside_floor(
    got: dict[str, Any],
    tokens: int,
    forms: dict[str, Any],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Add the fraction of the bandwidth and the ratio to the unfold."""
    bandwidth = options.report.get("ceilings", {}).get("copy, bytes a second")
    channels = operators.HEADS * operators.FEATURES
    logits = operators.HEADS * operators.TAPS
    needed = {
        "forward": 2 * tokens * (2 * channels + logits),
        "backward": 2 * tokens * (5 * channels + 3 * logits),
    }
    for pas, count in needed.items():
        key = f"{pas}, ms"
        if key in got and bandwidth:
            share = count / bandwidth / got[key] * 1e3
            got[f"{pas}, of bandwidth"] = round(share, 3)
        if key in got and key in forms["unfold"]:
            got[f"{pas}, times as fast"] = round(
                forms["unfold"][key] / got[key], 2
            )
    return got


def models(options: argparse.Namespace) -> dict[str, Any]:
    cases = CASES
    if options.quick:
        cases = [
            Case(phase, "tiny", "bfloat16", 32, 2)
            for phase in ("training", "inference")
        ]
    results: dict[str, dict[str, Any]] = {}
    begun = time.monotonic()
    with processes.Workers(encoders.Encoders) as workers:
        for case in cases:
            arms = results[str(case)] = {}
            for name in options.arms:
                if time.monotonic() - begun > options.model_seconds:
                    arms[name] = {"error": "There was no time for it."}
                    continue
                arms[name] = one_encoder(workers, name, case, options)
                print(case, name, arms[name], file=sys.stderr, flush=True)
            for got in arms.values():
                beside_peers(got, arms)
    return results


def one_encoder(
    workers: processes.Workers,
    name: str,
    case: Case,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Measure one arm at a time, as arms share the device memory."""
    got = model.measured(workers, case, [name], options.rounds, 30)[name]
    backend = ARMS[name].backend
    if backend == "jax":
        # A process keeps its memory and reports the peak of all its arms.
        workers.close(backend)
    elif workers[backend].alive():
        workers[backend].ask("drop")
    if "median" in got:
        seconds = got["median"] / 1e3
        got["tokens a second"] = round(case.batch * case.length / seconds)
        count = workers["torch"].ask("flops", case)
        got["of peak"] = round(count / seconds / PEAK_FLOPS, 4)
    return got


def beside_peers(got: dict[str, Any], arms: dict[str, dict[str, Any]]) -> None:
    for peer, told in arms.items():
        if peer.startswith("transformers") and "median" in told.keys() & got:
            got[f"times as fast as {peer}"] = round(
                told["median"] / got["median"], 3
            )


def fitting(options: argparse.Namespace) -> dict[str, Any]:
    chosen = argparse.Namespace(
        arms=["jax", "torch"],
        size=options.size,
        batch=options.batch,
        steps=3 if options.quick else 40,
        rounds=3 if options.quick else 5,
        budget=60,
        dtype="float32" if options.quick else "mixed_bfloat16",
    )
    results = fit.measured(chosen, options.shards)
    for got in results.values():
        for way in ("fit", "bare"):
            told = got.get(f"{way}, ms a step")
            if told:
                tokens = options.batch * options.length
                got[f"{way}, tokens a second"] = round(
                    1e3 * tokens / told["median"]
                )
    return results


def learn(options: argparse.Namespace) -> dict[str, Any]:
    with processes.Workers(learning.Learning) as workers:
        return learning.run(workers, options)


SECTIONS = {
    "ceilings": ceilings,
    "operator": operator,
    "model": models,
    "fit": fitting,
    "learning": learn,
}


def shards_for(options: argparse.Namespace) -> str:
    """Return the given folder, or one with shards of synthetic text."""
    folder = options.output / "shards"
    if not folder.exists():
        with processes.Workers(pretraining.Pretraining) as workers:
            workers["torch"].ask(
                "prepare", str(folder), options.length, None, None
            )
    return str(folder)


def rows(report: dict[str, Any]) -> list[str]:
    """Return the figures of all sections, one per line."""
    told = []

    def walk(path: tuple[str, ...], value: Any) -> None:
        if isinstance(value, dict) and "history" not in path:
            for name, part in value.items():
                walk((*path, str(name)), part)
        elif isinstance(value, (int, float, bool, str)) and path[-1] != "least":
            told.append(f"| {path[0]} | {' · '.join(path[1:])} | {value} |")

    for section in SECTIONS:
        walk((section,), report.get(section, {}))
    return ["| section | what | value |", "|---|---|---|", *told]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", required=True, type=pathlib.Path)
    parser.add_argument(
        "--sections", nargs="+", choices=SECTIONS, default=[*SECTIONS]
    )
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=MODEL_ARMS)
    parser.add_argument("--shards", help="folder written by data.prepare")
    parser.add_argument("--glue", help="folder with SST-2, CoLA, MRPC, STS-B")
    parser.add_argument("--vocabulary", help="vocabulary of the shards")
    parser.add_argument(
        "--minutes", type=float, default=10, help="minutes of learning"
    )
    parser.add_argument(
        "--model-seconds",
        type=float,
        default=600,
        help="start no arm after this time",
    )
    parser.add_argument("--learn-on", choices=["jax", "torch"], default="jax")
    parser.add_argument(
        "--epochs", type=int, default=3, help="epochs of fine-tuning"
    )
    parser.add_argument("--limit", type=int, help="samples for fine-tuning")
    parser.add_argument(
        "--batch", type=int, default=256, help="batch of pretraining"
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, on a CPU"
    )
    options = parser.parse_args()
    options.size, options.length = "small", 128
    if options.quick:
        options.size, options.length, options.batch = "tiny", 32, 2
        options.rounds, options.epochs, options.limit = 2, 1, 16
    options.output.mkdir(parents=True, exist_ok=True)
    options.weights = str(options.output / "weights")
    if options.glue and not options.vocabulary:
        parser.error("--glue wants --vocabulary.")
    return options


def check_device(options: argparse.Namespace) -> None:
    if options.quick:
        return
    with processes.Workers(Device) as workers:
        if workers["torch"].ask("name") is None:
            raise SystemExit(
                "Expected a GPU, or --quick for a CPU. Received: device=None"
            )


def main() -> None:
    options = parsed()
    check_device(options)
    options.shards = options.shards or shards_for(options)
    report: dict[str, Any] = {
        "command": machine.command(),
        "machine": machine.describe(),
    }
    options.report = report
    for name in [n for n in SECTIONS if n in options.sections]:
        print(f"== {name}", file=sys.stderr, flush=True)
        try:
            report[name] = SECTIONS[name](options)
        except Exception:
            report[name] = {"error": traceback.format_exc()}
            print(report[name]["error"], file=sys.stderr)
        text = json.dumps(report, indent=1) + "\n"
        (options.output / "gpu.json").write_text(text)
    print("\n".join(rows(report)))


if __name__ == "__main__":
    main()
