"""The optimizer, schedules, metrics and callbacks for training."""

from keras_convbert.training.adamw import AdamW
from keras_convbert.training.backup_and_resume import BackupAndResume
from keras_convbert.training.entity_f1 import EntityF1
from keras_convbert.training.f1_score import F1Score
from keras_convbert.training.layerwise_decay import LayerwiseDecay
from keras_convbert.training.matthews_correlation import MatthewsCorrelation
from keras_convbert.training.pearson_correlation import PearsonCorrelation
from keras_convbert.training.spearman_correlation import SpearmanCorrelation
from keras_convbert.training.squad_exact_match import SquadExactMatch
from keras_convbert.training.squad_f1 import SquadF1
from keras_convbert.training.warmup_linear_decay import WarmupLinearDecay

__all__ = [
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
]
