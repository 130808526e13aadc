import numpy as np
import pytest

from keras_convbert.data.shuffle import shuffled

pytestmark = pytest.mark.once


@pytest.mark.parametrize("size", [*range(1, 34), 255, 256, 257, 1000, 70_000])
def test_every_position_goes_to_another(size):
    found = shuffled(np.arange(size), size, [7, 3])
    np.testing.assert_array_equal(np.sort(found), np.arange(size))


def test_a_position_does_not_depend_on_the_others_asked_for():
    whole = shuffled(np.arange(1000), 1000, [7, 3])
    some = np.array([999, 0, 500, 500])
    np.testing.assert_array_equal(shuffled(some, 1000, [7, 3]), whole[some])


def order_by_loops(size, key):
    """The network of `shuffled`, in plain integers."""
    bits = 1
    while 1 << (2 * bits) < size:
        bits += 1
    low = (1 << bits) - 1
    round_keys = np.random.SeedSequence(key).generate_state(8, "uint64")

    def mixed(number):
        number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        number = (number ^ number >> 27) * 0x94D049BB133111EB % 2**64
        return number ^ number >> 31

    def permuted(number):
        left, right = number >> bits, number & low
        for round_key in map(int, round_keys):
            key = mixed((right + round_key) % 2**64)
            left, right = right, left ^ key & low
        return left << bits | right

    order = []
    for number in range(size):
        number = permuted(number)
        while number >= size:
            number = permuted(number)
        order.append(number)
    return order


@pytest.mark.parametrize("size", [1, 2, 4, 5, 16, 17, 300])
def test_order_equals_that_of_a_loop(size):
    found = shuffled(np.arange(size), size, [1, 2])
    assert found.tolist() == order_by_loops(size, [1, 2])


def test_range_of_billions_takes_no_memory_of_its_size():
    found = shuffled(np.arange(1000), 3_000_000_000, [0, 0])
    assert len(np.unique(found)) == 1000
    assert 0 <= found.min()
    assert found.max() < 3_000_000_000
    # The mean of 1,000 uniform numbers, within five standard deviations.
    assert abs(found.mean() / 3e9 - 0.5) < 5 / np.sqrt(12 * 1000)


@pytest.mark.parametrize("size", [5, 37])
def test_orders_of_many_epochs_are_even(size):
    """How often each position goes to each place, as by chance."""
    epochs = 1000
    counts = np.zeros((size, size))
    for epoch in range(epochs):
        counts[
            np.arange(size), shuffled(np.arange(size), size, [0, epoch])
        ] += 1
    deviation = np.sqrt(epochs / size * (1 - 1 / size))
    assert np.abs(counts - epochs / size).max() < 5 * deviation


def test_neighbours_are_parted():
    """Also two that are neighbours before are so after only by chance."""
    size, pairs, epochs = 50, 0, 1000
    for epoch in range(epochs):
        found = shuffled(np.arange(size), size, [1, epoch])
        pairs += np.sum(np.diff(found) == 1)
    # 49 pairs, each one apart with chance 1 / 50.
    assert abs(pairs / epochs - 49 / 50) < 5 * np.sqrt(49 / 50 / epochs)
