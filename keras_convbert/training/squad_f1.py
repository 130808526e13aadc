from collections import Counter

import keras

from keras_convbert.training.squad_metric import SquadMetric


@keras.saving.register_keras_serializable(package="keras_convbert")
class SquadF1(SquadMetric):
    """Mean F1 of the words of answers, in percent, as in SQuAD 2.0.

    The best F1 over the accepted answers counts. If an answer or the accepted
    answer has no words, F1 is 1 where both have none, else 0. Case,
    punctuation, articles and white space are ignored. The metric takes
    strings, so a model cannot be compiled with it.

    Args:
        name: string. Name of the metric. Defaults to `"f1"`.

    Call arguments:
        y_true: list of lists of strings. The accepted answers per question:
            `[]` or `[""]` if it has no answer.
        y_pred: list of strings. One answer per question, `""` for no answer.

    Raises:
        ValueError: if the two differ in length, or contain anything else.

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
