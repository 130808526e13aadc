"""Each shape is compiled once, and PyTorch's compiler sees one graph."""

import keras
import numpy as np
import pytest

from tests.models.convbert import tiny

TORCH = keras.backend.backend() == "torch"


@pytest.mark.skipif(TORCH, reason="asserted of its graphs below")
def test_a_shape_is_traced_once(monkeypatch):
    pretrainer = tiny.pretrainer()
    # A schedule of its own would be made anew for each `fit`.
    pretrainer.compile("adam")
    traced = []
    compute_loss = pretrainer.compute_loss

    def spy(*arguments, **options):
        traced.append(1)
        return compute_loss(*arguments, **options)

    monkeypatch.setattr(pretrainer, "compute_loss", spy)

    def traces(length):
        traced.clear()
        sequences = tiny.sequences(rows=6, length=length)
        history = pretrainer.fit(
            sequences, batch_size=2, epochs=2, verbose=0, shuffle=False
        )
        assert np.isfinite(history.history["loss"]).all()
        return len(traced)

    assert traces(8) >= 1
    assert traces(8) == 0
    assert traces(12) >= 1
    assert traces(8) == 0


@pytest.mark.skipif(not TORCH, reason="of PyTorch's compiler")
def test_a_backbone_is_one_graph_and_stays_it():
    import torch
    from torch._dynamo.utils import counters

    backbone = tiny.backbone(num_layers=1, dropout=0.1, attention_dropout=0.1)
    inputs = {
        name: keras.ops.convert_to_tensor(ids)
        for name, ids in tiny.sequences().items()
    }
    torch._dynamo.reset()
    counters.clear()

    # Whatever breaks the graph is an error; "eager" leaves out the kernels.
    @torch.compile(fullgraph=True, backend="eager")
    def loss(inputs):
        outputs = backbone(inputs, training=True)["sequence_output"]
        return outputs[:, :, 0].square().sum()

    # The first backward gives weights their gradients, which is a change.
    for _ in range(2):
        loss(inputs).backward()
    graphs = counters["stats"]["unique_graphs"]
    assert graphs <= 2
    values = set()
    for _ in range(3):
        value = loss(inputs)
        value.backward()
        values.add(float(value))
    assert counters["stats"]["unique_graphs"] == graphs
    assert len(values) == 3, "dropout draws anew at each step"
