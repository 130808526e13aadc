"""The command `keras-convbert`: thin, each verb calls one recipe."""

import sys
from collections.abc import Callable
from typing import Any

import click

SOURCE_HELP = (
    "SOURCE is a folder or a handle (hf://user/model) of KerasHub's or Hugging "
    "Face's form, a .keras file, or the prefix of a checkpoint of TensorFlow 1 "
    "(model.ckpt for model.ckpt.index)."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keras-convbert")
def main() -> None:
    """ConvBERT: pretraining, checkpoints in other forms, and serving.

    An error ends the standard error with one line that begins with "Error:",
    and has the exit status 1; a wrong command has the exit status 2.
    """


@main.command(epilog=SOURCE_HELP)
@click.argument("source")
@click.argument("target")
@click.option(
    "--to",
    type=click.Choice(["keras", "huggingface"]),
    default="keras",
    show_default=True,
    help="A preset for from_preset, or a folder for transformers.",
)
@click.option(
    "--vocabulary",
    type=click.Path(exists=True, dir_okay=False),
    help="Take this vocabulary, a token a line, in place of the source's.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse a model whose results of padded texts differ in Hugging "
    "Face's code (mask_conv=True).",
)
def convert(
    source: str, target: str, to: str, vocabulary: str | None, strict: bool
) -> None:
    """Write the checkpoint SOURCE in another form to the new folder TARGET."""
    from keras_convbert.recipes import convert_checkpoint

    if strict and to != "huggingface":
        raise click.UsageError("--strict goes with --to huggingface.")
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
    help="A folder for TensorFlow Serving, or a file of another runtime "
    "(.onnx, .tflite, .xml, .pt2).",
)
@click.option(
    "--version",
    type=click.IntRange(min=1),
    help="Write TARGET/VERSION, of which servers take the highest.  "
    "[default: 1]",
)
@click.option(
    "--signature",
    "signatures",
    multiple=True,
    help="One of those to write (text, say); without it all.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    help="Name of a class of a classifier, in the order of the classes.",
)
@click.option(
    "--warmup",
    "warmup_file",
    type=click.Path(exists=True, dir_okay=False),
    help="Texts to warm up with, one a line, pairs with a tab between.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "bfloat16", "int8"]),
    help="Store weights as this.",
)
def export(source: str, target: str, to: str, **options: Any) -> None:
    """Write the model of SOURCE to TARGET, for a server on raw strings.

    A SavedModel goes to the folder TARGET/VERSION, with a README.md that says
    how to call it. The other forms take ids, and have none of its options.
    """
    from keras_convbert.recipes import export_model

    given = {name: value for name, value in options.items() if value}
    written = _run(export_model, source, target, to, **given)
    click.echo(f"Wrote {written}.")


@main.command(epilog=SOURCE_HELP)
@click.argument("source")
def inspect(source: str) -> None:
    """List the arrays of the checkpoint SOURCE, and what takes each."""
    from rich.console import Console
    from rich.table import Table

    from keras_convbert.recipes import inspect_checkpoint

    class_name, entries = _run(inspect_checkpoint, source)
    table = Table("array", "shape", "variable", title=source)
    for entry in entries:
        table.add_row(entry.name, str(entry.shape), entry.target or "-")
    # A pipe has no width: nothing is cut there.
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    taken = [entry for entry in entries if entry.target]
    console.print(
        f"{sum(entry.size for entry in taken):,} parameters in {len(taken)} "
        f"arrays; {len(entries) - len(taken)} arrays that nothing takes."
    )
    console.print(f"Opens in keras_convbert.models.{class_name}.")


@main.command()
@click.argument("corpus", nargs=-1, required=True)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    help="File of JSON or TOML; docs/pretraining.md has its keys.  "
    "[default: the paper's small model]",
)
@click.option("--output", required=True, help="The folder of the training.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Say what it would take, by some steps that are timed, and write "
    "nothing.",
)
def pretrain(
    corpus: tuple[str, ...], config: str | None, output: str, dry_run: bool
) -> None:
    """Pretrain a ConvBERT on the text files CORPUS, into a folder.

    A line holds a sentence or a paragraph, a blank line ends a document;
    files may be compressed by gzip or xz. Started again with the same options
    it goes on where it stopped. In the end there are presets in
    OUTPUT/backbone and OUTPUT/pretrainer.
    """
    from keras_convbert import recipes

    if dry_run:
        click.echo(_run(recipes.plan_pretraining, corpus, config, output))
        return
    results = _run(recipes.pretrain, corpus, output, config)
    for name, value in results.get("held_out", {}).items():
        click.echo(f"held out {name}: {value:.4f}")
    click.echo(f"Wrote {output}.")


def _run(recipe: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    try:
        return recipe(*arguments, **options)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
