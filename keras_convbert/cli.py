"""The command `keras-convbert`; each subcommand calls one recipe."""

import sys
from collections.abc import Callable
from typing import Any

import click

SOURCE_HELP = (
    "SOURCE is a folder or a handle (hf://user/model) in the format of "
    "KerasHub or Hugging Face, a .keras file, or the prefix of a TensorFlow 1 "
    "checkpoint (model.ckpt for model.ckpt.index)."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keras-convbert")
def main() -> None:
    """Pretrain ConvBERT models, convert checkpoints and export models.

    An error prints a last line that begins with "Error:" to standard error
    and exits with status 1. An invalid command line exits with status 2.
    """


@main.command(epilog=SOURCE_HELP)
@click.argument("source")
@click.argument("target")
@click.option(
    "--to",
    type=click.Choice(["keras", "huggingface"]),
    default="keras",
    show_default=True,
    help="Write a preset for from_preset, or a folder for transformers.",
)
@click.option(
    "--vocabulary",
    type=click.Path(exists=True, dir_okay=False),
    help="Vocabulary with one token per line, in place of that of SOURCE.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Fail if the outputs of the model for padded texts differ in Hugging "
    "Face transformers (mask_conv=True).",
)
def convert(
    source: str, target: str, to: str, vocabulary: str | None, strict: bool
) -> None:
    """Convert the checkpoint SOURCE and write it to the new folder TARGET."""
    from keras_convbert.recipes import convert_checkpoint

    if strict and to != "huggingface":
        raise click.UsageError("--strict needs --to huggingface.")
    _run(convert_checkpoint, source, target, to, vocabulary, strict)
    click.echo(f"Wrote {target}.")


@main.command(epilog=SOURCE_HELP)
@click.argument("source")
@click.argument("target")
@click.option(
    "--to",
    type=click.Choice(["saved_model", "onnx", "litert", "openvino", "torch"]),
    default="saved_model",
    show_default=True,
    help="Write a folder for TensorFlow Serving, or a file for another runtime "
    "(.onnx, .tflite, .xml, .pt2).",
)
@click.option(
    "--version",
    type=click.IntRange(min=1),
    help="Write TARGET/VERSION. Servers load the highest version.  "
    "[default: 1]",
)
@click.option(
    "--signature",
    "signatures",
    multiple=True,
    help="Name of a signature to write, for example text. May be repeated.  "
    "[default: all]",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    help="Name of a class of a classifier. Repeat it in the order of the "
    "classes.",
)
@click.option(
    "--warmup",
    "warmup_file",
    type=click.Path(exists=True, dir_okay=False),
    help="File of warmup texts, one per line; a tab separates a pair of texts.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "bfloat16", "int8"]),
    help="Storage dtype of the weights.",
)
def export(source: str, target: str, to: str, **options: Any) -> None:
    """Export the model of SOURCE to TARGET, for servers and other runtimes.

    The default writes a SavedModel to TARGET/VERSION. Its signatures take
    ids or raw strings, and its README.md shows a request for each. The other
    formats take ids and support no option except --to.
    """
    from keras_convbert.recipes import export_model

    given = {name: value for name, value in options.items() if value}
    written = _run(export_model, source, target, to, **given)
    click.echo(f"Wrote {written}.")


@main.command(epilog=SOURCE_HELP)
@click.argument("source")
def inspect(source: str) -> None:
    """List the arrays of the checkpoint SOURCE and the matching variables."""
    from rich.console import Console
    from rich.table import Table

    from keras_convbert.recipes import inspect_checkpoint

    class_name, entries = _run(inspect_checkpoint, source)
    table = Table("array", "shape", "variable", title=source)
    for entry in entries:
        table.add_row(entry.name, str(entry.shape), entry.target or "-")
    # A pipe has no width, and the default width would truncate names.
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    loaded = [entry for entry in entries if entry.target]
    console.print(
        f"{sum(entry.size for entry in loaded):,} parameters in {len(loaded)} "
        f"arrays; {len(entries) - len(loaded)} unused arrays."
    )
    console.print(f"Loads as keras_convbert.models.{class_name}.")


@main.command()
@click.argument("corpus", nargs=-1, required=True)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    help="JSON or TOML file; docs/pretraining.md lists the keys.  "
    "[default: the small model of the paper]",
)
@click.option("--output", required=True, help="Output folder of the run.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Time some steps, print the predicted cost, and write no files.",
)
def pretrain(
    corpus: tuple[str, ...], config: str | None, output: str, dry_run: bool
) -> None:
    """Pretrain a ConvBERT model on the files CORPUS.

    Each line is a sentence or a paragraph, and a blank line ends a document.
    Files may be compressed with gzip, xz or zstd. In a .jsonl or .parquet
    file, the column "text" of each row is a document; the key "column" of the
    configuration names another column. To resume an interrupted run, use the
    same options again. The presets are written to OUTPUT/backbone and
    OUTPUT/pretrainer.
    """
    from keras_convbert import recipes

    if dry_run:
        click.echo(_run(recipes.plan_pretraining, corpus, config, output))
        return
    results = _run(recipes.pretrain, corpus, output, config)
    for name, value in results.get("held_out", {}).items():
        click.echo(f"held-out {name}: {value:.4f}")
    click.echo(f"Wrote {output}.")


def _run(recipe: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return recipe(*arguments, **options)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
