"""Writes `torch.export` programs, on the PyTorch backend."""

import io
import pathlib
from typing import Any

from keras_convbert.export.signatures import export_kind
from keras_convbert.files import AnyPath
from keras_convbert.types import Tensor


def write(model: Any, path: AnyPath) -> None:
    """Writes a model whose input is a dict of ids."""
    import torch

    class Served(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
            outputs = self.model(inputs, training=False)
            return export_kind(model).name_outputs(model, outputs)

    backbone = getattr(model, "backbone", model)
    batch = torch.export.Dim("batch", min=1)
    length = torch.export.Dim("length", min=1, max=backbone.max_sequence_length)
    # `torch.export` would treat axes of size 1 as fixed.
    sample = {
        name: torch.ones((2, 3), dtype=torch.int32) for name in model.input
    }
    with torch.no_grad():
        program = torch.export.export(
            Served().eval(),
            (sample,),
            dynamic_shapes=({name: {0: batch, 1: length} for name in sample},),
        )
    # A failing write to a file would end the process.
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    pathlib.Path(path).write_bytes(buffer.getbuffer())
