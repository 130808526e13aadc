from typing import Any

from keras_convbert.models.base.input_checks import check_vocabulary_size


def check_dataset(backbone: Any, dataset: Any) -> None:
    """Raises `ValueError` if a backbone does not fit the rows of a dataset.

    Datasets that do not describe their rows are not checked.
    """
    if hasattr(dataset, "vocabulary_size"):
        check_vocabulary_size(backbone, dataset.vocabulary_size)
    gap = getattr(dataset, "gap", None)
    if gap is None:
        return
    if not backbone.packed:
        raise ValueError(
            "Expected a backbone with `packed=True` for rows that several "
            f"sequences share. Received: packed={backbone.packed}"
        )
    if backbone.conv and gap < backbone.kernel_size // 2:
        raise ValueError(
            "Expected rows with padding of at least "
            f"{backbone.kernel_size // 2} between their sequences, as from "
            f"`prepare(..., pack=True, kernel_size={backbone.kernel_size})`. "
            f"Received: padding of {gap}"
        )
