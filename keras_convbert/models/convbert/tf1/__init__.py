"""ConvBERT in the TensorFlow 1 checkpoints of the authors."""
