"""The page that a hub shows of a model: Markdown under fields in YAML."""

import hashlib
import re
from typing import Any

from keras_convbert.version import __version__

CARD_FILE = "README.md"
# By what the name of the class ends with.
PIPELINES = {
    "Backbone": "feature-extraction",
    "MaskedLM": "fill-mask",
    "TextClassifier": "text-classification",
    "TokenClassifier": "token-classification",
    "QuestionAnswerer": "question-answering",
}
SEAL = re.compile(r"<!-- written by keras_convbert, ([0-9a-f]{16}) -->\n")
TODO = (
    "Before you publish it, add the fields `license` and `language` above, "
    "and say here what it was trained on."
)


def front_matter(library: str, kind: str) -> str:
    """The fields of a card.

    Args:
        library: string. The library that a hub shows the use of.
        kind: string. Name of our class.
    """
    lines = [f"library_name: {library}"]
    lines += [
        f"pipeline_tag: {tag}"
        for end, tag in PIPELINES.items()
        if kind.endswith(end)
    ]
    lines += ["tags:", "- keras", "- convbert", "- keras_convbert"]
    return "\n".join(["---", *lines, "---", ""])


def model_card(model: Any) -> str:
    """The card of a backbone or a task that is saved as a preset."""
    kind = type(model).__name__
    backbone = getattr(model, "backbone", model)
    text = f"""{front_matter("keras-hub", kind)}
# {kind}

A ConvBERT of {backbone.num_layers} layers of {backbone.hidden_dim} features,
{model.count_params():,} parameters, saved by keras_convbert {__version__}.

```python
from keras_convbert.models import {kind}

model = {kind}.from_preset("path or handle of this")
```

{TODO}
"""
    return text + f"<!-- written by keras_convbert, {_digest(text)} -->\n"


def is_written_by_us(card: str) -> bool:
    """Whether a card is as `model_card` wrote it."""
    seal = SEAL.search(card)
    return seal is not None and seal[1] == _digest(card[: seal.start()])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
