import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras
import keras_hub
import numpy as np

from keras_convbert.checkpoints import random_state
from keras_convbert.layers.validation import check_positive_integers
from keras_convbert.models.base.input_checks import check_packing
from keras_convbert.models.base.input_checks import check_texts
from keras_convbert.models.convbert.convbert_preprocessor import (
    ConvBertPreprocessor,
)
from keras_convbert.models.convbert.convbert_tokenizer import ConvBertTokenizer
from keras_convbert.models.convbert.masking.masked_lm_mask_generator import (
    MaskedLMMaskGenerator,
)
from keras_convbert.types import Config
from keras_convbert.types import Shape


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertMaskedLMPreprocessor(
    ConvBertPreprocessor, keras_hub.models.MaskedLMPreprocessor
):
    """Turns texts into masked sequences and the tokens to be guessed.

    Of `n` tokens that are no padding, `max(1, min(mask_selection_length,
    round(mask_selection_rate * n)))` are chosen, without replacement, never
    special ones.

    Args:
        tokenizer: a `ConvBertTokenizer`.
        sequence_length: int. Length of the outputs. Defaults to `512`.
        truncate: string. How a pair that is too long is cut:
            `"round_robin"` or `"waterfall"`. Defaults to `"round_robin"`.
        mask_selection_rate: float. Share of tokens chosen. Defaults to
            `0.15`.
        mask_selection_length: int. Most tokens chosen of a sequence. Defaults
            to `96`.
        mask_token_rate: float. Share of the chosen that become `[MASK]`.
            Defaults to `0.8`.
        random_token_rate: float. Share of the chosen that become any token.
            Defaults to `0.1`.
        seed: int. Seed of the choice. Inside `tf.data` with parallel calls
            it does not fix which batch gets which numbers. Defaults to `None`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        x: a string, a list or tensor of strings, or a tuple of two such.
            Outside of `fit` a pair is passed by name: `x=(first, second)`.
        y: left out, so that labelled texts will do.
        sample_weight: one weight a text, for all that is hidden in it.

    Output shape:
        `(x, y, sample_weight)`: `x` a dict of `token_ids`, `segment_ids`,
        `padding_mask`, each `(batch, sequence_length)`, and `mask_positions`,
        `(batch, mask_selection_length)`; `y` the hidden ids and
        `sample_weight` the weight of the text where there is one, else 0,
        both of the shape of `mask_positions`.

    Raises:
        ValueError: if a length or a rate is out of its range, `truncate` is
            unknown, or there are more than two texts.

    Example:

    ```python
    from keras_convbert.models import ConvBertMaskedLMPreprocessor
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]
    preprocessor = ConvBertMaskedLMPreprocessor(
        ConvBertTokenizer(tokens), sequence_length=8, mask_selection_length=2
    )
    x, y, sample_weight = preprocessor(["a b a b"])
    ```
    """

    def __init__(
        self,
        tokenizer: ConvBertTokenizer,
        sequence_length: int = 512,
        truncate: str = "round_robin",
        mask_selection_rate: float = 0.15,
        mask_selection_length: int = 96,
        mask_token_rate: float = 0.8,
        random_token_rate: float = 0.1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        check_packing(sequence_length, truncate)
        _check_masking(
            mask_selection_rate,
            mask_selection_length,
            mask_token_rate,
            random_token_rate,
        )
        super().__init__(
            tokenizer,
            sequence_length=sequence_length,
            truncate=truncate,
            mask_selection_rate=mask_selection_rate,
            mask_selection_length=mask_selection_length,
            mask_token_rate=mask_token_rate,
            random_token_rate=random_token_rate,
            **kwargs,
        )
        self.seed = seed
        if seed is None:
            # From the generator that `keras.utils.set_random_seed` sets.
            seed = np.random.randint(2**31)
        self._generator = np.random.default_rng(seed)
        self._drawing = self._generator

    def build(self, input_shape: Shape) -> None:
        # Past the base class, which would make a masker of its own.
        keras_hub.models.Preprocessor.build(self, input_shape)
        self.packer = keras_hub.layers.MultiSegmentPacker(
            sequence_length=self.sequence_length,
            start_value=self.tokenizer.cls_token_id,
            end_value=self.tokenizer.sep_token_id,
            pad_value=self.tokenizer.pad_token_id,
            truncate=self.truncate,
        )
        self.masker = MaskedLMMaskGenerator(
            vocabulary_size=self.tokenizer.vocabulary_size(),
            mask_selection_rate=self.mask_selection_rate,
            mask_selection_length=self.mask_selection_length,
            mask_token_id=self.tokenizer.mask_token_id,
            pad_token_id=self.tokenizer.pad_token_id,
            special_token_ids=self.tokenizer.special_token_ids,
            mask_token_rate=self.mask_token_rate,
            random_token_rate=self.random_token_rate,
            generator=self._current_generator,
            seed=self.seed,
        )

    def call(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        check_texts(x)
        x, y, mask_weights = super().call(x)
        if sample_weight is not None:
            if keras.ops.is_tensor(mask_weights):
                sample_weight = keras.ops.convert_to_tensor(
                    sample_weight, mask_weights.dtype
                )
            mask_weights = mask_weights * sample_weight[..., None]
        return x, y, mask_weights

    def _current_generator(self) -> np.random.Generator:
        return self._drawing

    def draw_noise(self) -> Callable[[int, int], AbstractContextManager[None]]:
        """Draws what makes the choices in a training, as functions of a place.

        Returns:
            function from the number of an epoch and that of a batch in it to
            a context, inside which calls draw what belongs there.
        """
        number = int(self._generator.integers(2**63))

        @contextlib.contextmanager
        def noise(epoch: int, index: int) -> Iterator[None]:
            self._drawing = np.random.default_rng([number, epoch, index])
            try:
                yield
            finally:
                self._drawing = self._generator

        return noise

    def save_assets(self, dir_path: str) -> None:
        """Writes where the generator stands; of `.keras` files alone."""
        random_state.save_generator(self._generator, dir_path)

    def load_assets(self, dir_path: str) -> None:
        random_state.load_generator(self._generator, dir_path)

    def get_config(self) -> Config:
        return {**super().get_config(), "seed": self.seed}


def _check_masking(
    mask_selection_rate: float,
    mask_selection_length: int,
    mask_token_rate: float,
    random_token_rate: float,
) -> None:
    if not 0 < mask_selection_rate <= 1:
        raise ValueError(
            "Invalid value for argument `mask_selection_rate`. Expected a "
            "number of more than 0 and at most 1. Received: "
            f"mask_selection_rate={mask_selection_rate}"
        )
    check_positive_integers(mask_selection_length=mask_selection_length)
    rates = (mask_token_rate, random_token_rate)
    if min(rates) < 0 or sum(rates) > 1 + 1e-6:
        raise ValueError(
            "Expected `mask_token_rate` and `random_token_rate` of at least "
            "0, and of at most 1 together. Received: "
            f"mask_token_rate={mask_token_rate}, "
            f"random_token_rate={random_token_rate}"
        )
