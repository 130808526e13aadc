"""Tasks that combine several packages; the command line calls them."""

from keras_convbert.recipes.convert_checkpoint import convert_checkpoint
from keras_convbert.recipes.export_model import export_model
from keras_convbert.recipes.inspect_checkpoint import inspect_checkpoint
from keras_convbert.recipes.plan_pretraining import plan_pretraining
from keras_convbert.recipes.pretrain import pretrain
from keras_convbert.recipes.pretraining_config import PretrainingConfig

__all__ = [
    "PretrainingConfig",
    "convert_checkpoint",
    "export_model",
    "inspect_checkpoint",
    "plan_pretraining",
    "pretrain",
]
