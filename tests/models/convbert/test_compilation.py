"""Each shape is compiled once, and PyTorch's compiler sees one graph."""

import functools

import keras
import numpy as np
import pytest

from keras_convbert.training import AdamW
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
        values.add(float(value.detach()))
    assert counters["stats"]["unique_graphs"] == graphs
    assert len(values) == 3, "dropout draws anew at each step"


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
@pytest.mark.skipif(not TORCH, reason="of PyTorch's compiler")
def test_a_pretrainer_is_one_graph_up_to_its_metrics(monkeypatch):
    import torch
    from torch._dynamo.utils import counters

    compiled = functools.partial(torch.compile, backend="eager")
    sequences = tiny.sequences(rows=6)

    def losses(jit_compile):
        keras.utils.set_random_seed(0)
        pretrainer = tiny.pretrainer(dropout=0.0, seed=0)
        pretrainer.compile(AdamW(1e-3), jit_compile=jit_compile)
        options = {"batch_size": 2, "verbose": 0, "shuffle": False}
        found = [
            pretrainer.fit(sequences, **options).history["loss"]
            for _ in range(2)
        ]
        graphs = counters["stats"]["unique_graphs"]
        pretrainer.fit(sequences, **options)
        assert counters["stats"]["unique_graphs"] == graphs
        return found

    expected = losses(False)
    torch._dynamo.reset()
    counters.clear()
    monkeypatch.setattr(torch, "compile", compiled)
    np.testing.assert_allclose(losses(True), expected, rtol=1e-5)

    # Whatever breaks the graph is an error.
    pretrainer = tiny.pretrainer()
    inputs = {
        name: keras.ops.convert_to_tensor(ids)
        for name, ids in sequences.items()
    }
    run = compiled(lambda: pretrainer(inputs, training=True), fullgraph=True)
    assert run()["mlm_losses"].requires_grad
