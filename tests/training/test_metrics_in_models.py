"""Every metric of tensors, inside compiled `fit` and `evaluate`."""

import dataclasses
import inspect

import keras
import numpy as np
import pytest
from scipy.stats import pearsonr
from scipy.stats import spearmanr
from seqeval.metrics import f1_score as entity_f1
from sklearn.metrics import f1_score
from sklearn.metrics import matthews_corrcoef

from keras_convbert.training import EntityF1
from keras_convbert.training import F1Score
from keras_convbert.training import MatthewsCorrelation
from keras_convbert.training import PearsonCorrelation
from keras_convbert.training import SpearmanCorrelation
from tests.training.metric_values import again_from_config

TAGS = ["O", "B-PER", "I-PER", "E-LOC"]


@dataclasses.dataclass(frozen=True)
class Case:
    """Metrics of the same samples, each with the reference for its value.

    `shape` is that of the scores of one sample.
    """

    shape: tuple
    metrics: dict

    def data(self, seed, size=43, length=6):
        """Scores that bfloat16 holds exactly, labels, and weights of 0 or 1."""
        rng = np.random.default_rng(seed)
        shape = [length if s is None else s for s in self.shape]
        scores = rng.integers(-9, 9, size=(size, *shape))
        labels = scores + rng.integers(-9, 9, size=scores.shape)
        kept = rng.random(scores.shape[:-1]) < 0.7
        if shape[-1] > 1:
            labels = labels.argmax(-1)
        return scores.astype("float32"), labels, kept.astype("float32")

    def wanted(self, prefix, scores, labels, kept):
        """What logs must say of the samples that are kept."""
        values = {}
        for metric, reference in self.metrics.items():
            value = reference(scores, labels, kept != 0)
            assert 0.1 < value < 0.9
            values[prefix + metric.name] = pytest.approx(value, abs=1e-5)
        return values

    def compiled(self, argument):
        """A model of unknown sizes whose output is its input."""
        inputs = keras.Input(self.shape)
        outputs = keras.layers.Dense(
            self.shape[-1], use_bias=False, kernel_initializer="identity"
        )(inputs)
        model = keras.Model(inputs, outputs)
        loss = "mse"
        if self.shape[-1] > 1:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(
            keras.optimizers.SGD(0.0),
            loss,
            **{argument: [again_from_config(m) for m in self.metrics]},
            jit_compile=keras.backend.backend() != "torch",
        )
        return model


def of_classes(function, **options):
    return lambda scores, labels, kept: function(
        labels[kept], scores[kept].argmax(-1), **options
    )


def of_numbers(function):
    return lambda scores, labels, kept: (
        function(labels[kept][:, 0], scores[kept][:, 0]).statistic
    )


def of_tags(scores, labels, kept):
    return entity_f1(
        *(
            [
                [TAGS[i] for i in row[chosen]]
                for row, chosen in zip(ids, kept, strict=False)
            ]
            for ids in (labels, scores.argmax(-1))
        )
    )


CASES = {
    "classes": Case(
        (3,),
        {
            F1Score(2): of_classes(f1_score, labels=[2], average="micro"),
            MatthewsCorrelation(3): of_classes(matthews_corrcoef),
        },
    ),
    "numbers": Case(
        (1,),
        {
            PearsonCorrelation(): of_numbers(pearsonr),
            SpearmanCorrelation(max_samples=50): of_numbers(spearmanr),
        },
    ),
    "tags": Case((None, len(TAGS)), {EntityF1(TAGS): of_tags}),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def chosen(logs, names):
    return {name: logs[name] for name in names}


@each_case
def test_fit_with_weights_and_validation_in_mixed_precision(case):
    """Two epochs of uneven batches; a longer text for validation."""
    keras.config.set_dtype_policy("mixed_bfloat16")
    training, validation = case.data(seed=0), case.data(seed=1, length=9)
    scores, labels, kept = training
    history = case.compiled("weighted_metrics").fit(
        scores,
        labels,
        sample_weight=kept,
        validation_data=validation,
        batch_size=16,
        epochs=2,
        verbose=0,
    )
    wanted = case.wanted("", *training) | case.wanted("val_", *validation)
    for epoch in range(2):
        found = {name: logs[epoch] for name, logs in history.history.items()}
        assert chosen(found, wanted) == wanted


@each_case
def test_a_compiled_model_is_saved_with_them(case, tmp_path):
    model = case.compiled("metrics")
    scores, labels, kept = case.data(seed=0)
    wanted = case.wanted("", scores, labels, np.ones_like(kept))
    logs = model.fit(scores, labels, batch_size=30, verbose=0).history
    assert {name: logs[name][0] for name in wanted} == wanted
    model.save(str(tmp_path / "model.keras"))
    again = keras.saving.load_model(str(tmp_path / "model.keras"))
    logs = again.evaluate(
        scores, labels, batch_size=30, return_dict=True, verbose=0
    )
    assert chosen(logs, wanted) == wanted


@each_case
def test_state_is_of_one_size_and_float32(case):
    keras.config.set_dtype_policy("mixed_bfloat16")
    scores, labels, kept = case.data(seed=0)
    wanted = case.wanted("", scores, labels, kept)
    for metric in map(again_from_config, case.metrics):
        before = [tuple(v.shape) for v in metric.variables]
        metric.update_state(labels, keras.ops.cast(scores, "bfloat16"), kept)
        result = metric.result()
        assert float(result) == wanted[metric.name]
        assert [tuple(v.shape) for v in metric.variables] == before
        for tensor in (*metric.variables, result):
            dtype = keras.backend.standardize_dtype(tensor.dtype)
            assert dtype == "float32"


@pytest.mark.parametrize(
    "metric",
    [
        MatthewsCorrelation(4, 0.25, "other"),
        F1Score(3, 0.25, "other"),
        PearsonCorrelation("other"),
        SpearmanCorrelation(5, "other"),
        EntityF1(["O", "B-PER"], "other"),
    ],
    ids=lambda metric: type(metric).__name__,
)
def test_config_survives(metric):
    again = again_from_config(metric)
    assert again.name == "other"
    options = set(inspect.signature(type(metric)).parameters)
    assert set(again.get_config()) == options
    for option in options:
        assert getattr(again, option) == getattr(metric, option)


def test_what_does_not_fit_is_told_at_the_first_step():
    case = dataclasses.replace(CASES["classes"], shape=(4,))
    scores, labels, _ = case.data(seed=0)
    with pytest.raises(ValueError, match=r"the scores of 3 classes. Received"):
        case.compiled("metrics").evaluate(scores, labels, verbose=0)
