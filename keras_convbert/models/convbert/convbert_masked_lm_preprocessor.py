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
from keras_convbert.models.base.empty_batches import preprocess_texts
from keras_convbert.models.base.input_checks import check_packing
from keras_convbert.models.base.input_checks import check_texts
from keras_convbert.models.base.segment_packer import SegmentPacker
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
    """Packs and masks texts or pairs for `ConvBertMaskedLM`.

    Of `n` tokens that are not padding, `max(1, min(mask_selection_length,
    round(mask_selection_rate * n)))` are selected without replacement. Special
    tokens are never selected.

    Args:
        tokenizer: a `ConvBertTokenizer`.
        sequence_length: int. Length of the packed sequences. Defaults to `512`.
        truncate: string. How to truncate a pair that is too long:
            `"round_robin"` or `"waterfall"`. Defaults to `"round_robin"`.
        mask_selection_rate: float. Fraction of tokens to select. Defaults to
            `0.15`.
        mask_selection_length: int. Maximum number of selected tokens per
            sequence. Defaults to `96`.
        mask_token_rate: float. Probability that a selected token becomes
            `[MASK]`. Defaults to `0.8`.
        random_token_rate: float. Probability that a selected token becomes a
            random token. Defaults to `0.1`.
        seed: int. Seed of the selection. Inside `tf.data` with parallel calls
            the order of the random numbers is not deterministic. Defaults to
            `None`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        x: a string, a list or tensor of strings, or a tuple of two of these
            for pairs. Outside of `fit`, pass a pair by name:
            `x=(first, second)`.
        y: ignored, so that labeled datasets can be used.
        sample_weight: one weight per text, applied to its masked tokens.

    Output shape:
        Tuple `(x, y, sample_weight)`. `x` is a dict of `token_ids`,
        `segment_ids` and `padding_mask`, each of shape
        `(batch, sequence_length)`, and of `mask_positions`, of shape
        `(batch, mask_selection_length)`. `y` holds the original ids of the
        masked tokens, and `sample_weight` the weight of the text (1 without
        weights) in used slots and 0 in others, both shaped as
        `mask_positions`.

    Raises:
        ValueError: if a length or a rate is out of range, `truncate` is
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
            # `keras.utils.set_random_seed` seeds the global generator.
            seed = np.random.randint(2**31)
        self._generator = np.random.default_rng(seed)
        self._drawing = self._generator

    def build(self, input_shape: Shape) -> None:
        # Skip the base class, which would create another mask generator.
        keras_hub.models.Preprocessor.build(self, input_shape)
        self.packer = SegmentPacker.of(self)
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
        x = check_texts(x)
        x, y, mask_weights = preprocess_texts(super().call, x)
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
        """Returns reproducible random numbers for the batches of a training.

        Returns:
            A function from an epoch and a batch index to a context manager.
            Calls inside of it use random numbers that depend only on these
            two and on the state of the generator at this call.
        """
        seed = int(self._generator.integers(2**63))

        @contextlib.contextmanager
        def noise(epoch: int, index: int) -> Iterator[None]:
            self._drawing = np.random.default_rng([seed, epoch, index])
            try:
                yield
            finally:
                self._drawing = self._generator

        return noise

    def save_assets(self, dir_path: str) -> None:
        """Saves the state of the random generator to a `.keras` file."""
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
            "number above 0 and at most 1. Received: "
            f"mask_selection_rate={mask_selection_rate}"
        )
    check_positive_integers(mask_selection_length=mask_selection_length)
    rates = (mask_token_rate, random_token_rate)
    if min(rates) < 0 or sum(rates) > 1 + 1e-6:
        raise ValueError(
            "Expected `mask_token_rate` and `random_token_rate` to be at least "
            "0, and their sum at most 1. Received: "
            f"mask_token_rate={mask_token_rate}, "
            f"random_token_rate={random_token_rate}"
        )
