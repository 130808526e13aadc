"""The public names, and what their docstrings hold."""

import inspect
import re
import textwrap

import keras_convbert

NAMES = {
    "analysis": {"Profile", "profile"},
    "config": {"implementation", "set_implementation"},
    "data": {"PretrainingDataset", "prepare", "train_vocabulary"},
    "export": {
        "export_litert",
        "export_onnx",
        "export_openvino",
        "export_saved_model",
        "export_torch",
    },
    "layers": {
        "ConvBertEncoderBlock",
        "DynamicConv1D",
        "GroupedDense",
        "LightweightConv1D",
        "MixedAttention",
        "SpanBasedDynamicConv1D",
    },
    "models": {
        "ConvBertBackbone",
        "ConvBertMaskedLM",
        "ConvBertMaskedLMPreprocessor",
        "ConvBertMultipleChoice",
        "ConvBertMultipleChoicePreprocessor",
        "ConvBertPretrainer",
        "ConvBertPretrainerPreprocessor",
        "ConvBertQuestionAnswerer",
        "ConvBertQuestionAnswererPreprocessor",
        "ConvBertTextClassifier",
        "ConvBertTextClassifierPreprocessor",
        "ConvBertTextEmbedder",
        "ConvBertTextEmbedderPreprocessor",
        "ConvBertTokenClassifier",
        "ConvBertTokenClassifierPreprocessor",
        "ConvBertTokenizer",
        "entity_spans",
    },
    "ops": {"depthwise_conv1d", "dynamic_conv1d", "lightweight_conv1d"},
    "training": {
        "AdamW",
        "BackupAndResume",
        "EntityF1",
        "F1Score",
        "LayerwiseDecay",
        "MatthewsCorrelation",
        "PearsonCorrelation",
        "SpearmanCorrelation",
        "SquadExactMatch",
        "SquadF1",
        "WarmupLinearDecay",
    },
}

FUNCTIONS = {"load_model"}


def documented():
    """Every public object, and every method of one that has a docstring."""
    for name in sorted(FUNCTIONS):
        yield name, getattr(keras_convbert, name)
    for package, names in NAMES.items():
        for name in sorted(names):
            value = getattr(getattr(keras_convbert, package), name)
            yield f"{package}.{name}", value
            if not inspect.isclass(value):
                continue
            for method, function in inspect.getmembers(value):
                # A class among them is listed under its own name.
                if method.startswith("_") or not inspect.isroutine(function):
                    continue
                module = getattr(function, "__module__", None) or ""
                if module.startswith("keras_convbert") and function.__doc__:
                    yield f"{package}.{name}.{method}", function


def sections(value):
    """The sections of a docstring: heading to text."""
    text = inspect.cleandoc(value.__doc__ or "")
    parts = re.split(r"^([A-Z][A-Za-z ]+):\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def arguments(value):
    """Documented argument to its text."""
    text = textwrap.dedent(sections(value).get("Args", ""))
    parts = re.split(r"^(\*{0,2}\w+): ", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def examples(text):
    """The fenced blocks of Python in a text."""
    return re.findall(
        r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL
    )
