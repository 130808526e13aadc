import dataclasses
import re
from collections.abc import Iterable

from keras_convbert.models.base.layer_costs import LayerCost

HEADINGS = ("layer", "number", "parameters", "MFLOPs", "activations, MB")


@dataclasses.dataclass(frozen=True)
class Profile:
    """Costs of a model, one row per layer; `str()` is a table.

    `analysis.profile` makes a `Profile` and documents its counting rules. In
    the table, one line shows the sum over repeated layers.

    Args:
        rows: tuple of rows, in the order of the computation, each with
            `name`, `parameters`, `flops` and `activation_bytes`.
        sequence_length: int. Tokens per sequence.
        dtype: string. The dtype of the activations.

    Attributes:
        parameters: int. Number of parameters of all layers.
        flops: int. FLOPs of a forward pass per sequence.
        activation_bytes: int. Bytes of activations per sequence that are kept
            for the backward pass.

    Example:

    ```python
    from keras_convbert import analysis

    found = analysis.profile("convbert_small", sequence_length=128)
    found.parameters  # 13143768
    found.rows[0].name  # "embeddings"
    print(found)
    ```
    """

    rows: tuple[LayerCost, ...]
    sequence_length: int
    dtype: str

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def flops(self) -> int:
        return sum(row.flops for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        return sum(row.activation_bytes for row in self.rows)

    def __str__(self) -> str:
        lines = [HEADINGS, *map(_cells, _merged(self.rows))]
        lines.append(("total", "", *_cells(self._total())[2:]))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        texts = [
            "  ".join(
                cell.rjust(width) if column else cell.ljust(width)
                for column, (cell, width) in enumerate(
                    zip(line, widths, strict=True)
                )
            )
            for line in lines
        ]
        rule = "-" * len(texts[0])
        return "\n".join([texts[0], rule, *texts[1:-1], rule, texts[-1]])

    def _total(self) -> tuple[int, LayerCost]:
        return 1, _sum("total", self.rows)


def _merged(rows: Iterable[LayerCost]) -> list[tuple[int, LayerCost]]:
    """Sums layers whose names differ only in their number."""
    groups: dict[str, list[LayerCost]] = {}
    for row in rows:
        groups.setdefault(re.sub(r"_\d+", "", row.name), []).append(row)
    return [(len(group), _sum(name, group)) for name, group in groups.items()]


def _sum(name: str, rows: Iterable[LayerCost]) -> LayerCost:
    columns = zip(*(row[1:] for row in rows), strict=True)
    return LayerCost(name, *map(sum, columns))


def _cells(entry: tuple[int, LayerCost]) -> tuple[str, ...]:
    number, row = entry
    return (
        row.name,
        str(number),
        f"{row.parameters:,}",
        f"{row.flops / 1e6:,.1f}",
        f"{row.activation_bytes / 1e6:,.2f}",
    )
