"""The rules of SQuAD's `evaluate-v2.0.py`, written down apart."""

import collections
import re
import string


def normalize(text):
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def exact(gold, answer):
    return int(normalize(gold) == normalize(answer))


def f1(gold, answer):
    gold, answer = normalize(gold).split(), normalize(answer).split()
    if not gold or not answer:
        return int(gold == answer)
    same = sum(
        (collections.Counter(gold) & collections.Counter(answer)).values()
    )
    if same == 0:
        return 0
    precision, recall = same / len(answer), same / len(gold)
    return 2 * precision * recall / (precision + recall)


def percent(rule, accepted, answers):
    total = 0
    for golds, answer in zip(accepted, answers, strict=True):
        golds = [gold for gold in golds if normalize(gold)] or [""]
        total += max(rule(gold, answer) for gold in golds)
    return 100 * total / len(answers)
