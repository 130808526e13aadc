from typing import Any

from keras_convbert.models.base.input_checks import check_vocabulary_size


def check_dataset(backbone: Any, dataset: Any) -> None:
    """Raises `ValueError` if a backbone does not fit the rows of a dataset.

    A dataset without the attributes `vocabulary_size` and `gap` is not checked.
    """
    if hasattr(dataset, "vocabulary_size"):
        check_vocabulary_size(backbone, dataset.vocabulary_size)
    gap = getattr(dataset, "gap", None)
    if gap is None:
        return
    if not backbone.packed:
        raise ValueError(
            "Expected a backbone with `packed=True`, since the dataset packs "
            f"several sequences per row. Received: packed={backbone.packed}"
        )
    if backbone.conv and gap < backbone.kernel_size // 2:
        raise ValueError(
            "Expected packed sequences that at least "
            f"{backbone.kernel_size // 2} padded positions separate, as from "
            f"`prepare(..., pack=True, kernel_size={backbone.kernel_size})`. "
            f"Received: gap={gap}"
        )
