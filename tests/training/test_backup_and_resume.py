import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_convbert.data import PretrainingDataset
from keras_convbert.training import AdamW
from keras_convbert.training import BackupAndResume
from tests.data import corpora
from tests.models.convbert import tiny
from tests.training import small_runs
from tests.training.small_runs import EPOCHS
from tests.training.small_runs import STEPS
from tests.training.small_runs import Before
from tests.training.small_runs import Stopped
from tests.training.small_runs import assert_same
from tests.training.small_runs import crash
from tests.training.small_runs import outcome

ONCE = pytest.mark.once
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def whole():
    """What a training comes to that nothing interrupts, without a backup."""
    return outcome(small_runs.train())


def stopped_train(folder, stops, action=crash, **options):
    """A script that is started again after each stop, and the steps it took.

    The stop is before a step, counted from the start of the script.
    """
    begun = []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: begun.append(batch)
    )
    for stop in stops:
        extra = [Before(stop, action), count]
        with pytest.raises((Stopped, SystemExit)):
            small_runs.train(folder, extra=extra, **options)
    net = small_runs.train(folder, extra=[count], **options)
    return net, len(begun)


@pytest.mark.parametrize(
    ("save_freq", "stops"),
    [("epoch", [9]), (2, [3, 9]), (3, [10]), (1, [1, 1, 3])],
    ids=str,
)
def test_resumed_run_has_the_bits_of_a_whole_one(
    save_freq, stops, whole, tmp_path
):
    net, steps = stopped_train(tmp_path, stops, save_freq=save_freq)
    assert_same(outcome(net), whole)
    assert int(net.optimizer.iterations) == STEPS * EPOCHS
    again = STEPS if save_freq == "epoch" else save_freq
    assert steps <= STEPS * EPOCHS + again * len(stops)
    assert not [*tmp_path.glob(".*")]


def test_least_change_of_early_stopping_goes_on(tmp_path):
    """Keras turns its sign when it is first used."""

    def trained(folder, stop=None):
        extra = [
            keras.callbacks.EarlyStopping("loss", min_delta=0.3, patience=2)
        ]
        if stop:
            extra.append(Before(stop, crash))
        return small_runs.train(folder, epochs=9, extra=extra)

    wanted = outcome(trained(None))
    assert len(wanted[0]["loss"]) < 9
    with pytest.raises(Stopped):
        trained(tmp_path, 2 * STEPS - 1)
    assert_same(outcome(trained(tmp_path)), wanted)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_epochs_that_are_parts_of_the_data(tmp_path):
    """Keras then begins a pass over the data when the last one is done."""
    options = {"steps_per_epoch": 3, "epochs": 5}
    wanted = outcome(small_runs.train(**options))
    net, _ = stopped_train(tmp_path, [7, 1], save_freq=1, **options)
    assert_same(outcome(net), wanted)


def test_validation_goes_on_too(tmp_path):
    """On data that is not the same each time."""
    options = {"epochs": 3}
    wanted = outcome(
        small_runs.train(validation_data=small_runs.Batches(), **options)
    )
    losses = wanted[0]["val_loss"]
    assert len({*losses}) == 3
    with pytest.raises(Stopped):
        small_runs.train(
            tmp_path,
            extra=[Before(10, crash)],
            validation_data=small_runs.Batches(),
            **options,
        )
    net = small_runs.train(
        tmp_path, validation_data=small_runs.Batches(), **options
    )
    assert_same(outcome(net), wanted)


def test_killed_between_the_last_epoch_and_the_end(whole, tmp_path):
    small_runs.train(tmp_path, save_freq="epoch")
    shutil.rmtree(tmp_path / "step-0000000016-finished")
    for _ in range(2):
        net = small_runs.train(tmp_path, extra=[Before(0, crash)])
        assert_same(outcome(net), whole)
    assert names(tmp_path) == ["step-0000000016", "step-0000000016-finished"]


@pytest.mark.parametrize("save_freq", ["epoch", 1])
def test_arrays_of_the_users_own_go_on_from_the_start_of_an_epoch(
    save_freq, tmp_path
):
    options = {"batch_size": 8, "data": small_runs.arrays()}
    wanted = outcome(small_runs.train(**options))
    options = {"save_freq": save_freq, **options}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(Stopped):
            small_runs.train(tmp_path, extra=[Before(10, crash)], **options)
        net = small_runs.train(tmp_path, **options)
    messages = [str(w.message) for w in caught]
    assert any("from the start of epoch 3" in m for m in messages)
    assert save_freq == "epoch" or any(
        "at the end of epochs only. Received: save_freq=1" in m
        for m in messages
    )
    assert_same(outcome(net), wanted)


def test_ended_run_returns_its_end_and_more_epochs_are_gone_on_with(
    whole, tmp_path
):
    small_runs.train(tmp_path, save_freq="epoch", epochs=2)
    ended = small_runs.train(
        tmp_path, save_freq="epoch", epochs=2, extra=[Before(0, crash)]
    )
    assert int(ended.optimizer.iterations) == 2 * STEPS
    assert ended.history.epoch == [0, 1]
    longer = small_runs.train(tmp_path, save_freq="epoch")
    assert_same(outcome(longer), whole)
    assert len([*tmp_path.iterdir()]) == 2
    # The model can be trained again as if nothing had been.
    assert longer._initial_epoch is None


def test_run_that_a_callback_has_ended_stays_so(tmp_path):
    for epochs in (4, 9):
        net = small_runs.model()
        stop = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, net=net: setattr(
                net, "stop_training", True
            )
        )
        small_runs.train(tmp_path, net=net, extra=[stop], epochs=epochs)
        assert net.history.epoch == [0]


def pretrainer(data):
    keras.utils.set_random_seed(3)
    options = {"seed": 5, "discriminator_weight": 7.0}
    if isinstance(data, PretrainingDataset):
        options["mask_token_id"] = data.mask_token_id
        options["special_token_ids"] = data.special_token_ids
    return tiny.pretrainer(dropout=0.2, **options)


@pytest.mark.parametrize(
    "kind", ["shards", pytest.param("memory", marks=pytest.mark.long)]
)
def test_pretrainer_goes_on_in_the_middle_of_an_epoch(kind, tmp_path):
    if kind == "shards":
        folder = corpora.shards(tmp_path, documents=20)
    unseeded = iter(range(9))

    def train(directory, *extra):
        data = tiny.sequences(rows=6)
        if kind == "shards":
            data = PretrainingDataset(folder, 4, seed=1, part=(0.0, 0.15))
            assert len(data) == 2
        task = pretrainer(data)
        if kind == "memory":
            # The order is saved: it need not be that of this script.
            np.random.seed(next(unseeded) if directory == resumed else 0)
        backup = [BackupAndResume(directory, 1)]
        options = {} if kind == "shards" else {"batch_size": 3}
        task.fit(
            data, epochs=2, verbose=0, callbacks=[*backup, *extra], **options
        )
        return task

    resumed = tmp_path / "resumed"
    wanted = outcome(train(tmp_path / "whole"))
    with pytest.raises(Stopped):
        train(resumed, Before(3, crash))
    assert_same(outcome(train(resumed)), wanted)


@ONCE
def test_data_goes_on_at_every_step(tmp_path):
    """As Grain tests its iterators."""
    folder = corpora.shards(tmp_path, documents=20)
    options = {"batch_size": 7, "seed": 3, "start_epoch": 1}

    def rest(dataset):
        return [
            batch["token_ids"]
            for _ in range(3 - dataset.epoch)
            for batch in dataset.get_numpy_iterator()
        ]

    whole = rest(PretrainingDataset(folder, **options))
    steps = len(PretrainingDataset(folder, **options))
    assert len(whole) == 2 * steps >= 16
    for step in range(2 * steps):
        dataset = PretrainingDataset(folder, **options)
        dataset.epoch += step // steps
        dataset.start_batch = step % steps
        found = rest(dataset)
        np.testing.assert_array_equal(found, whole[step:])
        assert (dataset.epoch, dataset.start_batch) == (3, 0)


@pytest.fixture(scope="module")
def backup(tmp_path_factory):
    """The checkpoints of a training that crashed after its sixth step."""
    folder = tmp_path_factory.mktemp("backup")
    with pytest.raises(Stopped):
        small_runs.train(folder, extra=[Before(6, crash)])
    assert names(folder) == ["step-0000000004", "step-0000000006"]
    return folder


@pytest.fixture
def copy(backup, tmp_path):
    return shutil.copytree(
        backup, tmp_path / "copy", ignore=shutil.ignore_patterns(".lock*")
    )


def names(folder):
    """All but the lock of a call of `fit` whose error is not gone yet."""
    return sorted(
        path.name
        for path in folder.iterdir()
        if not path.name.startswith(".lock")
    )


@ONCE
@pytest.mark.parametrize(
    "file", ["arrays.npy", "state.json", "manifest.json", None]
)
def test_damaged_checkpoint_is_passed_over(file, copy, whole):
    newest = copy / "step-0000000006"
    if file is None:
        (newest / "arrays.npy").unlink()
    else:
        content = bytearray((newest / file).read_bytes())
        content[len(content) // 2] ^= 1
        (newest / file).write_bytes(content)
    (copy / ".step-0000000008.half").mkdir()
    with pytest.warns(UserWarning, match="step-0000000006' is damaged"):
        net = small_runs.train(copy)
    assert_same(outcome(net), whole)
    assert names(copy) == ["step-0000000016", "step-0000000016-finished"]


@ONCE
def test_nothing_is_trained_where_nothing_is_whole(copy):
    for folder in copy.iterdir():
        (folder / "arrays.npy").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="is damaged, the one before"),
        pytest.raises(ValueError, match=r"Every checkpoint in .*damaged"),
    ):
        small_runs.train(copy)


@ONCE
def test_another_model_or_other_data_is_refused(copy, monkeypatch):
    net = small_runs.model(units=7)
    before = net.get_weights()
    with pytest.raises(ValueError, match=r"model of the checkpoint|of shape"):
        small_runs.train(copy, net=net)
    for one, other in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    monkeypatch.setattr(small_runs.Batches, "num_batches", 3)
    with pytest.raises(ValueError, match=r"has 4 batches.*with 3 batches"):
        small_runs.train(copy)


@ONCE
@pytest.mark.parametrize("keep", [1, 3])
def test_keeps_so_many(keep, tmp_path):
    net = small_runs.model()
    net.fit(
        small_runs.Batches(),
        callbacks=[BackupAndResume(tmp_path, 1, keep)],
        verbose=0,
    )
    assert len(names(tmp_path)) == keep


@ONCE
def test_disk_without_space_is_an_error_before_anything_is_written(
    copy, monkeypatch
):
    before = {p: p.read_bytes() for p in copy.rglob("*.*")}
    usage = shutil.disk_usage("/")._replace(free=5000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    handler = signal.getsignal(signal.SIGTERM)
    net = small_runs.model()
    with pytest.raises(OSError, match=r"2.2 times.*Received: 5000 bytes free"):
        small_runs.train(copy, net=net)
    assert before == {p: p.read_bytes() for p in copy.rglob("*.*")}
    assert int(net.optimizer.iterations) == 8
    assert signal.getsignal(signal.SIGTERM) == handler


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weight_that_is_not_finite_ends_training(value, tmp_path):
    # In graphs of TensorFlow, `relu` hides it.
    net = small_runs.model(eagerly=False)
    kernel = net.get_layer("hidden").kernel

    class Poison(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                array = keras.ops.convert_to_numpy(kernel).copy()
                array[0, 0] = value
                kernel.assign(array)

    with pytest.raises(FloatingPointError) as error:
        small_runs.train(tmp_path, net=net, extra=[Poison()])
    assert f"{kernel.path!r} holds NaN" in str(error.value)
    assert int(net.optimizer.iterations) == STEPS + 1
    assert names(tmp_path) == ["step-0000000002", "step-0000000004"]
    resumed = small_runs.train(tmp_path)
    assert all(np.isfinite(w).all() for w in resumed.get_weights())


def test_gradient_that_is_not_finite_is_found_before_clipping(tmp_path):
    """`AdamW` clips by the norm of all, which would spoil them all."""

    @keras.ops.custom_gradient
    def spoil(x):
        def grad(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            return upstream * float("inf")

        return x, grad

    inputs = keras.Input((6,))
    x = keras.layers.Dense(4, name="before")(inputs)
    x = keras.layers.Lambda(spoil, output_shape=(4,))(x)
    net = keras.Model(inputs, keras.layers.Dense(1, name="after")(x))
    net.compile(AdamW(0.1), loss="mse", run_eagerly=small_runs.EAGERLY)
    with pytest.raises(
        FloatingPointError, match=r"'before/kernel' holds NaN .*first of 2"
    ):
        net.fit(
            *small_runs.arrays(),
            callbacks=[BackupAndResume(tmp_path)],
            verbose=0,
        )
    assert not names(tmp_path)


@pytest.fixture
def _interruptible():
    """Tests that a shell runs in the background are told to ignore SIGINT."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.usefixtures("_interruptible")
@pytest.mark.parametrize("stop", [0, 6, 7])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_step_saves_and_exits(number, stop, whole, tmp_path):
    """At the first step, within an epoch, and in the last step of one."""
    if number == signal.SIGINT and stop:
        pytest.skip("as SIGTERM")
    handler = signal.getsignal(number)
    with pytest.raises(SystemExit) as end:
        small_runs.train(
            tmp_path,
            save_freq="epoch",
            extra=[Before(stop, lambda: signal.raise_signal(number))],
        )
    assert end.value.code == 128 + number
    assert signal.getsignal(number) == handler
    assert names(tmp_path)[-1] == f"step-{stop + 1:010d}"
    net = small_runs.train(tmp_path, save_freq="epoch")
    assert_same(outcome(net), whole)


@ONCE
@pytest.mark.usefixtures("_interruptible")
def test_signal_after_a_crash_is_not_swallowed(tmp_path):
    with pytest.raises(Stopped):
        small_runs.train(tmp_path, extra=[Before(2, crash)])
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@ONCE
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("",), "Received: directory=''"),
        (("x", 0), "Received: save_freq=0"),
        (("x", "step"), "Received: save_freq='step'"),
        (("x", 1, 0), "Received: keep=0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BackupAndResume(*arguments)


@pytest.mark.one_backend("jax")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.long)])
def test_killed_at_any_moment_it_goes_on(kills, tmp_path):
    answer = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.training.killed_runs",
            tmp_path,
            str(kills),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(answer.stdout.splitlines()[-1])
    assert found["kills"] == kills
    assert (found["other_bits"], found["cannot_restart"]) == (0, 0)
    assert found["sigterm"] == 143
    assert found["full_disk"] == ["OSError", "EFBIG", True, STEPS + 1]
