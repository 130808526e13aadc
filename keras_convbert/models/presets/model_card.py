"""Model cards: Markdown with YAML front matter, as hubs display it."""

import hashlib
import re
from typing import Any

from keras_convbert.models.presets.family import family_of
from keras_convbert.version import __version__

CARD_FILE = "README.md"
# The pipeline tag by the suffix of the class name.
PIPELINES = {
    "Backbone": "feature-extraction",
    "MaskedLM": "fill-mask",
    "TextClassifier": "text-classification",
    "TextEmbedder": "sentence-similarity",
    "TokenClassifier": "token-classification",
    "QuestionAnswerer": "question-answering",
}
SEAL = re.compile(r"<!-- written by keras_convbert, ([0-9a-f]{16}) -->\n")
TODO = (
    "Before you publish it, add the fields `license` and `language` above, "
    "and say here what it was trained on."
)


def front_matter(library: str, class_name: str, family: str) -> str:
    """Returns the YAML front matter of a card.

    Args:
        library: string. The library that a hub shows for loading.
        class_name: string. The name of the model class.
        family: string. The tag of the family.
    """
    lines = [f"library_name: {library}"]
    lines += [
        f"pipeline_tag: {tag}"
        for end, tag in PIPELINES.items()
        if class_name.endswith(end)
    ]
    lines += ["tags:", "- keras", f"- {family}", "- keras_convbert"]
    return "\n".join(["---", *lines, "---", ""])


def model_card(model: Any) -> str:
    """Returns the model card of a backbone or task saved as a preset."""
    cls = type(model)
    family = family_of(cls)
    backbone = getattr(model, "backbone", model)
    sizes = [
        f"{name}={getattr(backbone, name)}"
        for name in ("num_layers", "hidden_dim")
        if hasattr(backbone, name)
    ]
    listed = f"({', '.join(sizes)}), " if sizes else ""
    text = f"""{front_matter("keras-hub", cls.__name__, family.name)}
# {cls.__name__}

{family.title}, {model.count_params():,} parameters \
{listed}saved by keras_convbert {__version__}.

```python
from {_public_module(cls)} import {cls.__name__}

model = {cls.__name__}.from_preset("path or handle of this")
```

{TODO}
"""
    return text + f"<!-- written by keras_convbert, {_digest(text)} -->\n"


def _public_module(cls: type[Any]) -> str:
    ours = cls.__module__.startswith("keras_convbert.")
    return "keras_convbert.models" if ours else cls.__module__


def is_written_by_us(card: str) -> bool:
    """Whether `model_card` wrote a card that nobody edited since."""
    seal = SEAL.search(card)
    return seal is not None and seal[1] == _digest(card[: seal.start()])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
