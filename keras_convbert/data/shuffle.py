import numpy as np

# More than enough for data; four suffice for a large range.
ROUNDS = 8


def shuffled(positions: np.ndarray, size: int, key: list[int]) -> np.ndarray:
    """Applies a random permutation of `range(size)` to positions.

    Each position is computed independently, so a long permutation needs no
    memory. A Feistel network permutes the numbers up to a power of two that is
    at least `size`, and is applied again to results outside of the range.

    Args:
        positions: integer array, each less than `size`.
        size: int. Number of positions.
        key: list of integers of at least 0. They choose the permutation.

    Returns:
        int64 array of the shape of `positions`.

    Reference:
        - [Black and Rogaway](https://doi.org/10.1007/3-540-45760-7_9),
          "Ciphers with arbitrary finite domains", sections 3 and 4
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    round_keys = np.random.SeedSequence(key).generate_state(ROUNDS, "uint64")
    found = _network(positions.astype("uint64"), half, round_keys)
    while (outside := found >= size).any():
        found[outside] = _network(found[outside], half, round_keys)
    return found.astype("int64")


def _network(
    numbers: np.ndarray, half: int, round_keys: np.ndarray
) -> np.ndarray:
    """Permutes the numbers of `2 * half` bits."""
    low_bits = np.uint64((1 << half) - 1)
    left, right = numbers >> np.uint64(half), numbers & low_bits
    for round_key in round_keys:
        left, right = right, left ^ (_mixed(right + round_key) & low_bits)
    return (left << np.uint64(half)) | right


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Mixes bits as SplitMix64 does."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(
        0xBF58476D1CE4E5B9
    )
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(
        0x94D049BB133111EB
    )
    return numbers ^ (numbers >> np.uint64(31))
