"""The warnings of loading point at the line that loads."""

import pytest

from keras_convbert.models import ConvBertTextClassifier
from tests.models.convbert import tasks
from tests.models.convbert.tf1.test_heads import FINE_TUNED
from tests.models.convbert.tf1.test_heads import checkpoint
from tests.models.convbert.transformers import transformers_models as theirs

pytestmark = pytest.mark.once


def _of_keras(folder):
    tasks.backbone().save_to_preset(folder)
    return folder, ConvBertTextClassifier.from_preset, {"num_classes": 2}


def _of_transformers(folder):
    theirs.save(theirs.make(), folder)
    return folder, ConvBertTextClassifier.from_preset, {"num_classes": 2}


def _tf1_head(folder):
    prefix, _ = checkpoint(folder, FINE_TUNED)
    load = ConvBertTextClassifier.from_tf1_checkpoint
    return prefix, load, {"num_classes": 5}


@pytest.mark.parametrize(
    ("make", "messages"),
    [
        (_of_keras, ["no vocabulary", "is new"]),
        (_of_transformers, ["no vocabulary", "is new"]),
        (_tf1_head, ["is new"]),
    ],
)
def test_warnings_point_at_the_caller(tmp_path, make, messages):
    source, load, arguments = make(tmp_path)
    with pytest.warns(UserWarning, match="|".join(messages)) as found:
        load(source, **arguments)
    assert len(found) == len(messages)
    for warning, message in zip(found, messages, strict=True):
        assert message in str(warning.message)
        assert warning.filename == __file__
