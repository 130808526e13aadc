from collections import Counter

import keras

from keras_convbert.training.squad_metric import SquadMetric


@keras.saving.register_keras_serializable(package="keras_convbert")
class SquadF1(SquadMetric):
    """Mean F1 of the words of answers, in percent.

    Each answer is held against the accepted one that it is nearest to. Case,
    punctuation and articles do not matter. It takes strings, and so is no
    metric to compile a model with. The rules are those of SQuAD 2.0: where
    one of two answers has no word, they score 1 if they are equal and else 0.

    Args:
        name: string. Name of the metric. Defaults to `"f1"`.

    Call arguments:
        y_true: list of lists of strings. What is accepted for each question:
            `[]` or `[""]` where it has no answer.
        y_pred: list of strings. One answer a question, `""` for none.

    Raises:
        ValueError: if the two differ in length, or hold what is no string.

    Example:

    ```python
    from keras_convbert.training import SquadF1

    metric = SquadF1()
    metric.update_state([["Rome"], ["the Tiber"]], ["Rome", "river Tiber"])
    float(metric.result())  # 83.3
    ```

    Reference:
        - [SQuAD 2.0](https://arxiv.org/abs/1806.03822), `evaluate-v2.0.py`
    """

    def __init__(self, name: str = "f1") -> None:
        super().__init__(name=name)

    def _score(self, wanted: list[str], words: list[str]) -> float:
        if not wanted or not words:
            return float(wanted == words)
        common = (Counter(wanted) & Counter(words)).total()
        return 2.0 * common / (len(wanted) + len(words))
