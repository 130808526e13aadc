"""FLOPs an element, as ELECTRA's `flops_computation.py` counts them."""

DROPOUT = 4
LAYER_NORM = 5
ACTIVATION = 8
SOFTMAX = 5
