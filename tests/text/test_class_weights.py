import numpy as np
import pytest

from keras_convbert.text.class_weights import class_weights

pytestmark = pytest.mark.once
NAMES = ["neg", "pos"]


def test_names_and_ids_give_the_same_weights():
    for given in ({"pos": 3}, {1: 3.0}, {np.int64(1): np.float32(3)}):
        assert class_weights(NAMES, 2, given).tolist() == [1.0, 3.0]
    assert class_weights(None, 3, {0: 0.0}).tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (NAMES, {"nge": 2.0}, "'nge' in class_weight"),
        (NAMES, {2: 2.0}, "2 in class_weight"),
        (NAMES, {-1: 2.0}, "-1 in class_weight"),
        (NAMES, {True: 2.0}, "True in class_weight"),
        (NAMES, {"0": 2.0}, "'0' in class_weight"),
        (NAMES, {"pos": 2.0, 1: 3.0}, "each class once"),
        (None, {"pos": 2.0}, "the class names as `labels`"),
        (NAMES, [1.0, 2.0], "a dict of classes to weights"),
        (NAMES, {0: None}, "None for 0"),
        (NAMES, {0: float("nan")}, "nan for 0"),
        (NAMES, {0: -1.0}, "-1.0 for 0"),
    ],
)
def test_what_is_no_weight_of_a_class_is_refused(names, given, message):
    with pytest.raises(ValueError, match=message):
        class_weights(names, 2, given)
