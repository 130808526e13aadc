import keras
import numpy as np

from keras_convbert.models.convbert.masking.replace_tokens import ReplaceTokens
from keras_convbert.models.convbert.masking.row_noise import SampleNoise


def test_hand_worked_example():
    tensors = {
        "token_ids": np.int32([[2, 7, 8, 9, 3], [2, 5, 6, 3, 0]]),
        "mask_positions": np.int32([[1, 3], [2, 0]]),
        "mask_weights": np.float32([[1, 1], [1, 0]]),
        "sampled_ids": np.int32([[5, 9], [7, 11]]),
    }
    found = ReplaceTokens()(
        **{k: keras.ops.convert_to_tensor(v) for k, v in tensors.items()}
    )
    found = {k: keras.ops.convert_to_numpy(v) for k, v in found.items()}
    # The unused slot leaves position 0 alone; a sample that hits the
    # original, 9, is no replacement.
    np.testing.assert_array_equal(
        found["corrupted_token_ids"], [[2, 5, 8, 9, 3], [2, 5, 7, 3, 0]]
    )
    np.testing.assert_array_equal(
        found["rtd_labels"], [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
    )
    np.testing.assert_array_equal(found["sampled_ids"], [[5, 9], [7, 2]])


def test_noise_of_evaluation_is_the_same_each_time_and_row_by_row():
    def noise(token_ids, positions, seed, training):
        found = SampleNoise(seed)(
            keras.ops.convert_to_tensor(token_ids),
            mask_positions=keras.ops.convert_to_tensor(positions),
            training=training,
        )
        return keras.ops.convert_to_numpy(found)

    token_ids = np.random.default_rng(0).integers(5, 12, (6, 8))
    positions = np.zeros((6, 3), "int32")
    first = noise(token_ids, positions, 0, training=False)
    assert first.shape == (6, 3)
    assert 0 <= first.min()
    assert first.max() < 1
    again = noise(token_ids, positions, 1, training=False)
    np.testing.assert_array_equal(first, again)
    alone = noise(token_ids[2:3], positions[2:3], 0, training=False)
    np.testing.assert_array_equal(first[2:3], alone)
    drawn = noise(token_ids, positions, 1, training=True)
    assert (drawn != first).any()
