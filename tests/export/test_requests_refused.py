"""Wrong requests name the input that is wrong, and the next one works."""

import numpy as np
import pytest
import tensorflow as tf

from tests.export import tiny

pytestmark = pytest.mark.once


def ids(**changed):
    values = tiny.token_ids(tiny.backbone(), (2, 4))
    return {**values, **changed}


WRONG_IDS = {
    "too-large": (
        ids(token_ids=np.full((2, 4), 15, "int32")),
        "`token_ids` to be at least 0 and less than.*15.*15",
    ),
    "negative": (
        ids(token_ids=np.full((2, 4), -1, "int32")),
        "`token_ids` to be at least 0.*-1",
    ),
    "segment": (
        ids(segment_ids=np.full((2, 4), 2, "int32")),
        "`segment_ids` to be at least 0 and less than.*2",
    ),
    "mask": (
        ids(padding_mask=np.full((2, 4), 7, "int32")),
        "`padding_mask` to be at least 0 and less than.*2",
    ),
    "shape": (
        ids(segment_ids=np.zeros((2, 3), "int32")),
        "`segment_ids` to have the shape of `token_ids`",
    ),
    "batch": (
        ids(padding_mask=np.ones((1, 4), "int32")),
        "`padding_mask` to have the shape of `token_ids`",
    ),
    "too-long": (
        {name: np.ones((1, 17), "int32") for name in ids()},
        "`token_ids` of shape .* from 1 to 16.*17",
    ),
    "empty": (
        {name: np.ones((2, 0), "int32") for name in ids()},
        "`token_ids` of shape .* from 1 to 16.*0",
    ),
    "rank": (
        ids(segment_ids=np.zeros(8, "int32")),
        "segment_ids .8. is not compatible",
    ),
}


@pytest.mark.parametrize("name", WRONG_IDS)
def test_ids(name, served):
    inputs, message = WRONG_IDS[name]
    serve = served("classifier")[1].signatures["serving_default"]
    right = {k: tf.constant(v) for k, v in ids().items()}
    before = serve(**right)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s){message}"):
        serve(**{k: tf.constant(v) for k, v in inputs.items()})
    for key, value in serve(**right).items():
        np.testing.assert_array_equal(value, before[key])


@pytest.mark.parametrize("wrong", [np.full((2, 1), 4), np.zeros((1, 1))])
def test_places_of_no_token(wrong, served):
    model, folder = served("masked_lm")
    inputs = tiny.token_ids(model, (2, 4))
    inputs["mask_positions"] = wrong.astype("int32")
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="Expected `mask_positions`"
    ):
        folder.signatures["serving_default"](
            **{k: tf.constant(v) for k, v in inputs.items()}
        )


@pytest.mark.parametrize(
    ("name", "signature", "texts"),
    [
        ("classifier", "text_pair", {"text": ["a", "b"], "text_pair": ["a"]}),
        (
            "answerer",
            "question_answer",
            {"question": ["a"], "context": ["a", "b"]},
        ),
    ],
)
def test_pairs_of_unequal_number(name, signature, texts, served):
    serve = served(name)[1].signatures[signature]
    first, second = texts
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=f"as many strings in `{second}` as in `{first}`",
    ):
        serve(**{k: tf.constant(v) for k, v in texts.items()})
    equal = {k: tf.constant(["good film"]) for k in texts}
    assert all(len(value) == 1 for value in serve(**equal).values())


@pytest.mark.parametrize("texts", ["a", [["a", "b"], ["c", "d"]]])
@pytest.mark.parametrize(
    ("name", "signature"), [("classifier", "text"), ("tagger", "tokens")]
)
def test_strings_of_another_rank(texts, name, signature, served):
    serve = served(name)[1].signatures[signature]
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match=r"tensor text .* is not compatible",
    ):
        serve(text=tf.constant(texts))
