import keras

from keras_convbert.training.squad_metric import SquadMetric


@keras.saving.register_keras_serializable(package="keras_convbert")
class SquadExactMatch(SquadMetric):
    """Percentage of answers that equal an accepted answer, as in SQuAD 2.0.

    Case, punctuation, articles and white space are ignored. The metric takes
    strings, so a model cannot be compiled with it.

    Args:
        name: string. Name of the metric. Defaults to `"exact_match"`.

    Call arguments:
        y_true: list of lists of strings. The accepted answers per question:
            `[]` or `[""]` if it has no answer.
        y_pred: list of strings. One answer per question, `""` for no answer.

    Raises:
        ValueError: if the two differ in length, or contain anything else.

    Example:

    ```python
    from keras_convbert.training import SquadExactMatch

    metric = SquadExactMatch()
    metric.update_state([["Rome"], ["the Tiber"]], ["Milan", "Tiber."])
    float(metric.result())  # 50.0
    ```

    Reference:
        - [SQuAD 2.0](https://arxiv.org/abs/1806.03822), `evaluate-v2.0.py`
    """

    def __init__(self, name: str = "exact_match") -> None:
        super().__init__(name=name)

    def _score(self, wanted: list[str], words: list[str]) -> float:
        return float(wanted == words)
