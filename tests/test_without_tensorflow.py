"""The library without TensorFlow, as where it is not installed."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys

sys.modules["tensorflow"] = None
sys.modules["tensorflow_text"] = None

import numpy as np
import keras_convbert as kc

tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh"]
tokenizer = kc.models.ConvBertTokenizer(tokens)
backbone = kc.models.ConvBertBackbone(
    vocabulary_size=len(tokens),
    num_layers=1,
    num_heads=2,
    hidden_dim=8,
    intermediate_dim=16,
)
preprocessor = kc.models.ConvBertTextClassifierPreprocessor(
    tokenizer, sequence_length=8
)
classifier = kc.models.ConvBertTextClassifier(
    backbone, num_classes=2, preprocessor=preprocessor
)
classifier.fit(["a b c", "d e"], [0, 1], verbose=0)
logits = classifier.predict(["a b c", "d e"], verbose=0)
assert logits.shape == (2, 2) and np.isfinite(logits).all()
try:
    kc.export.export_saved_model(classifier, "nowhere")
except ImportError as error:
    assert "tensorflow" in str(error), error
else:
    raise AssertionError("exported without TensorFlow")
print("works without TensorFlow")
"""


@pytest.mark.one_backend("jax")
@pytest.mark.skipif(
    os.environ["KERAS_BACKEND"] == "tensorflow",
    reason="TensorFlow is the backend",
)
def test_fit_and_predict_on_strings(tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "works without TensorFlow" in process.stdout, process.stderr
