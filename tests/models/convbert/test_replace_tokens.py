import keras
import numpy as np

from keras_convbert.models.convbert.replace_tokens import ReplaceTokens


def replace(token_ids, positions, weights, logits, training=True, **options):
    layer = ReplaceTokens(**{"temperature": 1.0, "seed": 0, **options})
    outputs = layer(
        keras.ops.convert_to_tensor(np.int32(token_ids)),
        mask_positions=keras.ops.convert_to_tensor(np.int32(positions)),
        mask_weights=keras.ops.convert_to_tensor(np.float32(weights)),
        mlm_logits=keras.ops.convert_to_tensor(np.float32(logits)),
        training=training,
    )
    return {k: keras.ops.convert_to_numpy(v) for k, v in outputs.items()}


def certain(ids, vocabulary_size=12):
    """Logits that leave no choice."""
    return 100.0 * np.eye(vocabulary_size)[np.array(ids)]


def test_hand_worked_example():
    found = replace(
        token_ids=[[2, 7, 8, 9, 3], [2, 5, 6, 3, 0]],
        positions=[[1, 3], [2, 0]],
        weights=[[1, 1], [1, 0]],
        logits=certain([[5, 9], [7, 11]]),
    )
    # The unused slot leaves position 0 alone; a sample that hits the
    # original, 9, is no replacement.
    np.testing.assert_array_equal(
        found["corrupted_token_ids"], [[2, 5, 8, 9, 3], [2, 5, 7, 3, 0]]
    )
    np.testing.assert_array_equal(
        found["rtd_labels"], [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
    )
    np.testing.assert_array_equal(found["sampled_ids"], [[5, 9], [7, 2]])


def test_samples_follow_the_softmax_at_a_temperature():
    probabilities = np.array([0.5, 0.3, 0.15, 0.05])
    logits = np.tile(2.0 * np.log(probabilities), (4000, 1, 1))
    found = replace(
        np.zeros((4000, 2)),
        np.zeros((4000, 1)),
        np.ones((4000, 1)),
        logits,
        temperature=2.0,
    )
    counts = np.bincount(found["sampled_ids"][:, 0], minlength=4)
    expected = 4000 * probabilities
    # 16.3 is the 0.999 quantile of chi2 with 3 degrees of freedom.
    assert ((counts - expected) ** 2 / expected).sum() < 16.3


def test_evaluation_samples_the_same_each_time_and_row_by_row():
    generator = np.random.default_rng(0)
    arguments = [
        generator.integers(5, 12, (6, 8)),
        generator.permuted(np.tile(np.arange(8), (6, 1)), axis=1)[:, :3],
        np.ones((6, 3)),
        generator.normal(size=(6, 3, 12)),
    ]
    first = replace(*arguments, training=False, seed=0)
    again = replace(*arguments, training=False, seed=1)
    alone = replace(*(a[2:3] for a in arguments), training=False)
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
        np.testing.assert_array_equal(value[2:3], alone[name])
