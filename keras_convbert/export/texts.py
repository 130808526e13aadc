"""Signatures on raw strings, as TensorFlow graphs."""

from collections.abc import Sequence
from typing import Any

from keras_convbert.export.parts import by_rows
from keras_convbert.export.parts import by_texts
from keras_convbert.export.parts import in_rows
from keras_convbert.export.request_limits import RequestLimits
from keras_convbert.text.answer_search import EXCLUDED
from keras_convbert.text.answer_search import Candidates
from keras_convbert.text.answer_search import best_answers_in_graph
from keras_convbert.text.answer_search import candidates_in_graph
from keras_convbert.text.word_windows import take_windows
from keras_convbert.types import Tensor

Outputs = dict[str, Tensor]
# A `tf.function` from ids to named outputs.
Serve = Any

MAX_ANSWER_LENGTH = 30


def sequences(
    model: Any, serve: Serve, limits: RequestLimits, *texts: Tensor
) -> Outputs:
    """Returns the outputs for each text, or pair of texts."""
    return in_rows(serve, _without_padding(model, _packed(model, texts)))


def padded_sequences(
    model: Any, serve: Serve, limits: RequestLimits, *texts: Tensor
) -> Outputs:
    """Returns the outputs for each text, or pair of texts, with all padding.

    A head of a user may depend on the padding.
    """
    return in_rows(serve, _packed(model, texts))


def tokens(
    model: Any, serve: Serve, limits: RequestLimits, text: Tensor
) -> Outputs:
    """Returns the label of each word, with its position in the text."""
    import tensorflow as tf

    words = by_texts(lambda text: _words(model, serve, limits, text), [text])
    counts = limits.check_words(words["count"])

    def by_text(values: Tensor, padding: Any) -> Tensor:
        return tf.RaggedTensor.from_row_lengths(
            values, counts, validate=False
        ).to_tensor(padding)

    label = tf.gather(tf.constant(model.labels), words["label"])
    return {
        "label": by_text(label, ""),
        "probability": by_text(words["probability"], 0.0),
        "start": by_text(words["start"], -1),
        "end": by_text(words["end"], -1),
    }


def _words(
    model: Any, serve: Serve, limits: RequestLimits, text: Tensor
) -> Outputs:
    """Returns the words of texts, and the number of words per text."""
    import tensorflow as tf

    preprocessor = model.preprocessor
    words, windows = preprocessor.words_of_texts_in_graph(text)
    windows = limits.check_windows(windows)

    def labels(first: Tensor, last: Tensor) -> Outputs:
        part = take_windows(windows.part(first, last), words.ids, words.numbers)
        inputs = preprocessor.collate_in_graph(part)
        probabilities = serve(_without_padding(model, inputs))["probabilities"]
        # Windows and words are in order, and each word has exactly one label.
        word_ids = preprocessor.at_positions(part.words)
        word_ids = word_ids[:, : tf.shape(probabilities)[1]]
        of_words = tf.boolean_mask(probabilities, word_ids >= 0)
        return {
            "label": tf.argmax(of_words, axis=-1),
            "probability": tf.reduce_max(of_words, axis=-1),
        }

    return {
        **by_rows(labels, tf.size(windows.texts), windows.longest()),
        "start": words.starts.flat_values,
        "end": words.ends.flat_values,
        "count": words.starts.row_lengths(),
    }


def question_answer(
    model: Any,
    serve: Serve,
    limits: RequestLimits,
    question: Tensor,
    context: Tensor,
) -> Outputs:
    """Returns the best answer to each question in its context."""
    return by_texts(
        lambda *texts: _answers(model, serve, limits, *texts),
        [question, context],
    )


def _answers(
    model: Any,
    serve: Serve,
    limits: RequestLimits,
    question: Tensor,
    context: Tensor,
) -> Outputs:
    import tensorflow as tf

    preprocessor = model.preprocessor
    pieces = preprocessor.pieces_in_graph(question, context)
    all_windows = limits.check_windows(pieces.windows)

    def candidates(first: Tensor, last: Tensor) -> Outputs:
        windows = pieces.take(all_windows.part(first, last))
        inputs = preprocessor.collate_in_graph(windows)
        inputs = _without_padding(model, inputs)
        outputs = serve(inputs)
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
        found = candidates_in_graph(
            windows, start, end, beam, MAX_ANSWER_LENGTH
        )
        return {**found._asdict(), "no_answer": no_answer}

    questions = tf.reduce_max(tf.pad(pieces.questions.row_lengths(), [[0, 1]]))
    found = by_rows(
        candidates,
        tf.size(all_windows.texts),
        all_windows.longest() + tf.cast(questions, "int32"),
    )
    no_answer = tf.math.segment_min(found.pop("no_answer"), all_windows.texts)
    best = best_answers_in_graph(
        Candidates(**found), all_windows.texts, context
    )
    if model.head != "joint":
        # JSON cannot represent infinity.
        no_answer = tf.minimum(no_answer - best.tops, no_answer.dtype.max)
    return {
        "text": best.texts,
        "start": best.starts,
        "end": best.ends,
        "score": best.probabilities,
        "no_answer": no_answer,
    }


def _packed(model: Any, texts: Sequence[Tensor]) -> dict[str, Tensor]:
    """Returns the inputs of a model, `(batch, sequence_length)`."""
    import tensorflow as tf

    def pack(*texts: Tensor) -> dict[str, Tensor]:
        inputs = model.preprocessor(x=texts if len(texts) > 1 else texts[0])
        return {name: tf.cast(inputs[name], "int32") for name in model.input}

    return by_texts(pack, texts)


def _without_padding(
    model: Any, inputs: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Removes the columns of padding that do not change the outputs."""
    import tensorflow as tf

    lengths = tf.reduce_sum(inputs["padding_mask"], axis=1)  # (B,)
    longest = tf.maximum(tf.reduce_max(lengths), 1)
    longest += model.backbone.padding_margin
    return {name: values[:, :longest] for name, values in inputs.items()}
