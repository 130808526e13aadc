import math
from collections.abc import Callable

import keras

MEGABYTE = 1e6


def progress_bar(size: int, shown: bool) -> Callable[[int], None]:
    """Returns a function that shows how many of `size` bytes are done."""
    if not shown:
        return lambda done: None
    target = max(1, math.ceil(size / MEGABYTE))
    bar = keras.utils.Progbar(target, interval=0.5, unit_name="MB")

    def show(done: int) -> None:
        bar.update(target if done >= size else int(done / MEGABYTE))

    return show
