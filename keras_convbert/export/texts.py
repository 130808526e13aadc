"""Signatures on raw strings, as TensorFlow graphs."""

from collections.abc import Sequence
from typing import Any

from keras_convbert.text.answer_search import EXCLUDED
from keras_convbert.text.answer_search import best_answers_in_graph
from keras_convbert.types import Tensor

Outputs = dict[str, Tensor]
# A `tf.function` from ids to named outputs.
Serve = Any

# Number of windows of long texts per call of the model; it bounds memory.
ROWS = 32
MAX_ANSWER_LENGTH = 30


def sequences(model: Any, serve: Serve, *texts: Tensor) -> Outputs:
    """Returns the outputs for each text, or pair of texts."""
    import tensorflow as tf

    _check_pairs(texts, ("text", "text_pair"))
    inputs = model.preprocessor(x=texts if len(texts) > 1 else texts[0])
    inputs = {name: tf.cast(inputs[name], "int32") for name in model.input}
    return serve(_without_padding(model, inputs))


def padded_sequences(model: Any, serve: Serve, *texts: Tensor) -> Outputs:
    """Returns the outputs for each text, or pair of texts, with all padding.

    A head of a user may depend on the padding.
    """
    import tensorflow as tf

    _check_pairs(texts, ("text", "text_pair"))
    inputs = model.preprocessor(x=texts if len(texts) > 1 else texts[0])
    return serve({name: tf.cast(inputs[name], "int32") for name in model.input})


def tokens(model: Any, serve: Serve, text: Tensor) -> Outputs:
    """Returns the label of each word, with its position in the text."""
    import tensorflow as tf

    preprocessor = model.preprocessor
    windows, words = preprocessor.windows_of_texts_in_graph(text)
    inputs = preprocessor.collate_in_graph(windows)
    outputs = _in_parts(serve, _without_padding(model, inputs))
    probabilities = outputs["probabilities"]  # (B, T, labels)
    # Windows and words are in order, and each word has exactly one label.
    word_ids = preprocessor.at_positions(windows.words)
    word_ids = word_ids[:, : tf.shape(probabilities)[1]]
    word_probabilities = tf.boolean_mask(probabilities, word_ids >= 0)
    best = tf.argmax(word_probabilities, axis=-1)

    def by_text(values: Tensor, padding: Any) -> Tensor:
        return words.starts.with_flat_values(values).to_tensor(padding)

    return {
        "label": by_text(tf.gather(tf.constant(model.labels), best), ""),
        "probability": by_text(tf.reduce_max(word_probabilities, axis=-1), 0.0),
        "start": words.starts.to_tensor(-1),
        "end": words.ends.to_tensor(-1),
    }


def question_answer(
    model: Any, serve: Serve, question: Tensor, context: Tensor
) -> Outputs:
    """Returns the best answer to each question in its context."""
    import tensorflow as tf

    _check_pairs((question, context), ("question", "context"))
    preprocessor = model.preprocessor
    windows = preprocessor.windows_in_graph(question, context)
    inputs = preprocessor.collate_in_graph(windows)
    inputs = _without_padding(model, inputs)
    outputs = _in_parts(serve, inputs)
    start, end = outputs["start_logits"], outputs["end_logits"]
    beam = outputs.get("starts")
    if beam is None:
        no_answer = start[:, 0] + end[:, 0]
    else:
        no_answer = outputs["no_answer_logits"]
        allowed = inputs["segment_ids"] > 0
        allowed = tf.concat(
            [tf.ones_like(allowed[:, :1]), allowed[:, 1:]], axis=1
        )
        start = tf.nn.log_softmax(start)
        end = tf.nn.log_softmax(tf.where(allowed[:, None], end, EXCLUDED))
    best = best_answers_in_graph(
        windows, context, start, end, beam, MAX_ANSWER_LENGTH
    )
    no_answer = tf.math.segment_min(no_answer, windows.samples)
    if beam is None:
        # JSON cannot represent infinity.
        no_answer = tf.minimum(no_answer - best.tops, no_answer.dtype.max)
    return {
        "text": best.texts,
        "start": best.starts,
        "end": best.ends,
        "score": best.probabilities,
        "no_answer": no_answer,
    }


def _check_pairs(texts: Sequence[Tensor], names: Sequence[str]) -> None:
    import tensorflow as tf

    for others, name in zip(texts[1:], names[1:], strict=False):
        tf.debugging.assert_equal(
            tf.size(others),
            tf.size(texts[0]),
            f"Expected as many strings in `{name}` as in `{names[0]}`.",
        )


def _without_padding(
    model: Any, inputs: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Removes the columns of padding that do not change the outputs."""
    import tensorflow as tf

    lengths = tf.reduce_sum(inputs["padding_mask"], axis=1)  # (B,)
    longest = tf.maximum(tf.reduce_max(lengths), 1)
    longest += model.backbone.padding_margin
    return {name: values[:, :longest] for name, values in inputs.items()}


def _in_parts(serve: Serve, inputs: dict[str, Tensor]) -> Outputs:
    """Calls `serve` on `ROWS` windows at a time, and joins the outputs."""
    import tensorflow as tf

    rows = tf.shape(inputs["token_ids"])[0]
    parts = tf.maximum(-(-rows // ROWS), 1)
    signature = {
        name: tf.TensorSpec((None, None), "int32", name=name) for name in inputs
    }
    specs = serve.get_concrete_function(signature).structured_outputs
    arrays = {
        name: tf.TensorArray(
            spec.dtype,
            parts,
            infer_shape=False,
            element_shape=spec.shape,
        )
        for name, spec in specs.items()
    }

    def step(number: Tensor, arrays: Any) -> Any:
        first = number * ROWS
        part = {
            name: values[first : first + ROWS]
            for name, values in inputs.items()
        }
        outputs = serve(part)
        written = {
            name: array.write(number, outputs[name])
            for name, array in arrays.items()
        }
        return number + 1, written

    _, arrays = tf.while_loop(
        lambda number, _: number < parts,
        step,
        (0, arrays),
        parallel_iterations=1,
    )
    return {name: array.concat() for name, array in arrays.items()}
