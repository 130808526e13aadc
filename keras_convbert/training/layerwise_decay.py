import re

import keras

from keras_convbert.types import Config


@keras.saving.register_keras_serializable(package="keras_convbert")
class LayerwiseDecay:
    """Learning rates that fall from the head down to the embeddings.

    The learning rate of a weight is multiplied by `decay ** depth`. The head
    has depth 0, the top layer 1, the lowest layer `num_layers`, and the
    embeddings `num_layers + 1`. The path of a weight gives its depth. Pass an
    instance to `AdamW`.

    Args:
        num_layers: int. Layers of the backbone.
        decay: float. Factor from one layer to the next lower one. Defaults
            to `0.8`.
        skip_one: bool. Whether all depths but that of the head are one more.
            The code of the authors does so: it counts a pooler that does not
            exist. Defaults to `False`.

    Raises:
        ValueError: if an argument is out of its range, or, in `scale`, if the
            path is in a layer beyond `num_layers`.

    Example:

    ```python
    from keras_convbert.training import AdamW
    from keras_convbert.training import LayerwiseDecay

    layerwise_decay = LayerwiseDecay(num_layers=12)
    layerwise_decay.scale("transformer_layer_11/output_dense/kernel")  # 0.8
    optimizer = AdamW(1e-4, layerwise_decay=layerwise_decay)
    ```

    Reference:
        - [ELECTRA](https://arxiv.org/abs/2003.10555), appendix B
    """

    def __init__(
        self, num_layers: int, decay: float = 0.8, skip_one: bool = False
    ) -> None:
        if not isinstance(num_layers, int) or num_layers < 1:
            raise ValueError(
                "Invalid value for argument `num_layers`. Expected a positive "
                f"integer. Received: num_layers={num_layers!r}"
            )
        if not 0 < decay <= 1:
            raise ValueError(
                "Invalid value for argument `decay`. Expected a number of more "
                f"than 0 and at most 1. Received: decay={decay}"
            )
        self.num_layers = num_layers
        self.decay = decay
        self.skip_one = skip_one

    def scale(self, path: str) -> float:
        """Returns the factor for the learning rate of a weight.

        Args:
            path: string. The path of the weight.
        """
        depth = self._depth(path)
        return self.decay ** (depth + (self.skip_one and depth > 0))

    def _depth(self, path: str) -> int:
        layer = re.search(r"(?:^|/)transformer_layer_(\d+)/", path)
        if layer is None:
            embeds = re.search(r"(?:^|/)(\w+_embedding|embeddings_\w+)/", path)
            return self.num_layers + 1 if embeds else 0
        number = int(layer[1])
        if number >= self.num_layers:
            raise ValueError(
                f"Expected weights of `num_layers={self.num_layers}` layers. "
                f"Received: {path!r}"
            )
        return self.num_layers - number

    def get_config(self) -> Config:
        return {
            "num_layers": self.num_layers,
            "decay": self.decay,
            "skip_one": self.skip_one,
        }

    @classmethod
    def from_config(cls, config: Config) -> "LayerwiseDecay":
        return cls(**config)
