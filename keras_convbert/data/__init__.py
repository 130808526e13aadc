"""Turns documents into a vocabulary, training sequences and batches."""

from keras_convbert.data.prepare import prepare
from keras_convbert.data.pretraining_dataset import PretrainingDataset
from keras_convbert.data.train_vocabulary import train_vocabulary

__all__ = ["PretrainingDataset", "prepare", "train_vocabulary"]
