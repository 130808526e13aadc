import keras
import numpy as np
from scipy import stats

from keras_convbert.ops.random import stateless_dropout
from keras_convbert.ops.random import uniform

to_numpy = keras.ops.convert_to_numpy


def test_numbers_are_uniform_and_independent():
    generator = keras.random.SeedGenerator(7)
    draws = [to_numpy(uniform((100, 200), generator)) for _ in range(5)]
    numbers = np.stack(draws)
    assert numbers.dtype == "float32"
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert stats.kstest(numbers.ravel(), "uniform").pvalue > 1e-3
    # Correlations between draws, and between neighbors along all axes.
    for axis in range(3):
        first = np.delete(numbers, -1, axis).ravel()
        second = np.delete(numbers, 0, axis).ravel()
        assert stats.pearsonr(first, second).pvalue > 1e-3


def test_a_seed_repeats_its_numbers():
    first, second, other = (
        to_numpy(uniform((3, 5), keras.random.SeedGenerator(seed)))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.isclose(first, other).any()
    fixed = [to_numpy(uniform((1, 4), 3)) for _ in range(2)]
    np.testing.assert_array_equal(*fixed)


def test_a_generator_advances_as_in_keras():
    ours, keras_own = (keras.random.SeedGenerator(5) for _ in range(2))
    uniform((2, 2), ours)
    keras_own.next()
    np.testing.assert_array_equal(
        to_numpy(ours.state.value), to_numpy(keras_own.state.value)
    )


def dropped(shape, rate, seed, dtype="float32"):
    return stateless_dropout(keras.ops.ones(shape, dtype), rate, seed)


def test_dropout_drops_its_fraction_independently():
    generators = [keras.random.SeedGenerator(seed) for seed in (7, 7, 8)]
    generators[1].next()
    seeds = [generator.next() for generator in generators]
    kept = np.stack(
        [to_numpy(dropped((60, 5, 400), 0.1, seed)) > 0 for seed in seeds]
    )
    assert stats.binomtest(int(kept.sum()), kept.size, 0.9).pvalue > 1e-3
    # Correlations between seeds, and between neighbors along all axes.
    for axis in range(4):
        first = np.delete(kept, -1, axis).ravel().astype(float)
        second = np.delete(kept, 0, axis).ravel().astype(float)
        assert stats.pearsonr(first, second).pvalue > 1e-3


def test_dropout_scales_what_it_keeps():
    seed = keras.random.SeedGenerator(1).next()
    for dtype in ("float32", "bfloat16"):
        outputs = dropped((40, 50), 0.5, seed, dtype)
        assert keras.backend.standardize_dtype(outputs.dtype) == dtype
        assert set(np.unique(to_numpy(outputs).astype("float32"))) == {0, 2}
    again = dropped((40, 50), 0.5, seed, "bfloat16")
    np.testing.assert_array_equal(to_numpy(outputs), to_numpy(again))
