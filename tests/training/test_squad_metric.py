"""Both measures, by hand and by the official rules."""

import json
import lzma
import os
import pathlib

import pytest

from keras_convbert.training import SquadExactMatch
from keras_convbert.training import SquadF1
from tests.training import squad_rules
from tests.training.metric_values import again_from_config

pytestmark = pytest.mark.once
RULES = {SquadExactMatch: squad_rules.exact, SquadF1: squad_rules.f1}
BY_HAND = [
    # Accepted, answer, whether they match, F1.
    (["Rome"], "Rome", 1, 1),
    (["U.S.A.", "America"], "usa", 1, 1),
    (["the Tiber"], "  a\tTIBER!", 1, 1),
    (["Rome", "the city of Rome"], "City of Rome", 1, 1),
    (["black cat sat"], "the black dog", 0, 0.4),
    (["one two two", "nine"], "two two three", 0, 2 / 3),
    (["theatre"], "atre", 0, 0),
    (["1990–95"], "1990-95", 0, 0),
    (["Rome"], "", 0, 0),
    ([], "", 1, 1),
    ([""], "...", 1, 1),
    ([""], "Rome", 0, 0),
    (["the", "Rome"], "a", 0, 0),
]


@pytest.mark.parametrize(("accepted", "answer", "exact", "f1"), BY_HAND)
def test_worked_by_hand(accepted, answer, exact, f1):
    for metric, wanted in ((SquadExactMatch(), exact), (SquadF1(), f1)):
        rule = RULES[type(metric)]
        official = squad_rules.percent(rule, [accepted], [answer])
        assert official == pytest.approx(100 * wanted)
        metric.update_state([accepted], [answer])
        assert float(metric.result()) == pytest.approx(100 * wanted)


@pytest.mark.parametrize("metric_class", RULES)
def test_mean_over_batches_after_reset_and_from_config(metric_class):
    accepted, answers = [case[0] for case in BY_HAND], [c[1] for c in BY_HAND]
    wanted = squad_rules.percent(RULES[metric_class], accepted, answers)
    assert 0 < wanted < 100
    metric = metric_class(name="other")
    for one in (metric, metric, again_from_config(metric)):
        one.reset_state()
        assert float(one.result()) == 0
        one.update_state(accepted[:3], answers[:3])
        one.update_state([], [])
        one.update_state(accepted[3:], answers[3:])
        assert float(one.result()) == pytest.approx(wanted)


@pytest.mark.skipif(
    "KERAS_CONVBERT_SQUAD" not in os.environ,
    reason="KERAS_CONVBERT_SQUAD names no file such as dev-v1.1.json.xz",
)
@pytest.mark.parametrize("metric_class", RULES)
def test_answers_of_a_dataset(metric_class):
    """One person's answers against the others', a hundred at a time."""
    data = pathlib.Path(os.environ["KERAS_CONVBERT_SQUAD"]).read_bytes()
    questions = [
        [answer["text"] for answer in question["answers"]]
        for article in json.loads(lzma.decompress(data))["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]
    answers = [texts[-1] for texts in questions]
    accepted = [texts[:-1] for texts in questions]
    assert len(answers) > 1000
    whole = metric_class()
    for start in range(0, len(answers), 100):
        batch = slice(start, start + 100)
        part = metric_class()
        for metric in (part, whole):
            metric.update_state(accepted[batch], answers[batch])
        assert float(part.result()) == pytest.approx(
            squad_rules.percent(
                RULES[metric_class], accepted[batch], answers[batch]
            )
        )
    wanted = squad_rules.percent(RULES[metric_class], accepted, answers)
    assert 50 < wanted < 100
    assert float(whole.result()) == pytest.approx(
        wanted,
        abs=1e-3,  # a float32 sum of more than 1,000 scores, in percent
    )


@pytest.mark.parametrize(
    ("accepted", "answers", "message"),
    [
        ([["a"]], [], r"Received: len\(y_true\)=1, len\(y_pred\)=0"),
        (["Rome"], ["Rome"], "`y_true`.*Received: 'Rome'"),
        ([["Rome", 3]], ["Rome"], r"`y_true`.*Received: \['Rome', 3\]"),
        ([["Rome"]], [b"Rome"], "`y_pred`.*Received: b'Rome'"),
    ],
)
@pytest.mark.parametrize("metric_class", RULES)
def test_what_is_no_string_is_refused(metric_class, accepted, answers, message):
    metric = metric_class()
    with pytest.raises(ValueError, match=message):
        metric.update_state(accepted, answers)
    assert float(metric.count) == 0
