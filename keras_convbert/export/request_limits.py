from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from keras_convbert.types import Tensor

# Numbers per output of a request; in float32 these are 256 MiB.
MAX_VALUES = 2**26
# Words of a request to `tokens`, with padding. A word has four outputs.
MAX_WORDS = 2**23


class RequestLimits(NamedTuple):
    """What a servable accepts in a request.

    The checks are assertions of a TensorFlow graph.
    """

    max_rows: int = 1024
    """Texts, or sequences of ids, per request."""
    max_text_bytes: int = 2**20
    """Bytes per text."""
    max_windows: int = 1024
    """Windows per text."""

    def check(self) -> None:
        """Raises `ValueError` if a limit is not a positive integer."""
        for name, value in self._asdict().items():
            if (
                not isinstance(value, int)
                or isinstance(value, bool)
                or (value < 1)
            ):
                raise ValueError(
                    f"Invalid value for argument `{name}`. Expected a "
                    f"positive integer. Received: {name}={value!r}"
                )

    def check_texts(
        self, names: Sequence[str], texts: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Returns the strings of a request after checks of number and size."""
        import tensorflow as tf

        checks = [self._rows(names[0], tf.size(texts[0]))]
        checks += [
            tf.debugging.assert_equal(
                tf.size(strings),
                tf.size(texts[0]),
                f"Expected as many strings in `{name}` as in `{names[0]}`.",
            )
            for name, strings in [*zip(names, texts, strict=True)][1:]
        ]
        for name, strings in zip(names, texts, strict=True):
            longest = tf.reduce_max(tf.strings.length(strings))
            checks.append(
                tf.debugging.Assert(
                    _at_most(longest, self.max_text_bytes),
                    [
                        f"Expected at most {self.max_text_bytes} bytes per "
                        f"string of `{name}`. Received: a string of",
                        longest,
                        "bytes",
                    ],
                )
            )
        with tf.control_dependencies(checks):
            return tuple(tf.identity(strings) for strings in texts)

    def check_windows(self, windows: Any) -> Any:
        """Returns the `Windows` of texts after a check of their number."""
        import tensorflow as tf

        most = tf.reduce_max(
            tf.math.segment_sum(tf.ones_like(windows.texts), windows.texts)
        )
        check = tf.debugging.Assert(
            _at_most(most, self.max_windows),
            [
                f"Expected texts of at most {self.max_windows} windows. "
                "Received: a text of",
                most,
                "windows",
            ],
        )
        with tf.control_dependencies([check]):
            return type(windows)(*map(tf.identity, windows))

    def check_words(self, counts: Tensor) -> Tensor:
        """Returns the numbers of words per text after a check of the sum."""
        import tensorflow as tf

        rows = tf.size(counts, tf.int64)
        longest = tf.reduce_max(tf.cast(counts, "int64"))
        check = tf.debugging.Assert(
            rows * tf.maximum(longest, 0) <= MAX_WORDS,
            [
                f"Expected at most {MAX_WORDS} words in the output, where "
                "each text is padded to the longest. Received:",
                rows,
                "texts of up to",
                longest,
                "words",
            ],
        )
        with tf.control_dependencies([check]):
            return tf.identity(counts)

    def id_checks(
        self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Any]
    ) -> list[Any]:
        """Returns the checks of a request of ids.

        Args:
            inputs: dict of int32 tensors.
            outputs: dict of the specs of the outputs.
        """
        import tensorflow as tf

        checks = [self._rows("token_ids", tf.shape(inputs["token_ids"])[0])]
        # The longest outputs have values per position.
        name = "mask_positions" if "mask_positions" in inputs else "token_ids"
        width = max(_width(spec) for spec in outputs.values())
        if width:
            limit = MAX_VALUES // width
            checks.append(
                tf.debugging.Assert(
                    tf.size(inputs[name]) <= limit,
                    [
                        f"Expected at most {limit} values in `{name}`, which "
                        f"give outputs of {MAX_VALUES} numbers. Received:",
                        tf.size(inputs[name]),
                    ],
                )
            )
        return checks

    def _rows(self, name: str, rows: Tensor) -> Any:
        import tensorflow as tf

        return tf.debugging.Assert(
            _at_most(rows, self.max_rows),
            [
                f"Expected at most {self.max_rows} rows in `{name}`. Received:",
                rows,
            ],
        )


def _at_most(value: Tensor, limit: int) -> Tensor:
    import tensorflow as tf

    return tf.cast(value, "int64") <= tf.constant(limit, "int64")


def _width(spec: Any) -> int:
    """Returns the numbers per position in an output, 0 without positions."""
    if spec.shape.rank != 3:
        return 0
    known = [size for size in spec.shape if size is not None]
    return known[0] if len(known) == 1 else 0
