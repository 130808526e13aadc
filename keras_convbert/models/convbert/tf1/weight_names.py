"""Names of the ConvBERT weights in checkpoints of the authors; data only.

An entry holds the fields of
`keras_convbert.checkpoints.assignment.WeightMapping`: the name of the array,
the path of the variable, and the number of variable axes per array axis.
"""

from keras_convbert.models.convbert.argument_names import SHARED_ARGUMENTS

TF1_ENCODER = "electra/"

TF1_EMBEDDINGS = (
    ("embeddings/word_embeddings", "token_embedding/embeddings", (1, 1)),
    ("embeddings/position_embeddings", "position_embedding/embeddings", (1, 1)),
    (
        "embeddings/token_type_embeddings",
        "segment_embedding/embeddings",
        (1, 1),
    ),
    ("embeddings/LayerNorm/gamma", "embeddings_layer_norm/gamma", (1,)),
    ("embeddings/LayerNorm/beta", "embeddings_layer_norm/beta", (1,)),
)
TF1_PROJECTION = (
    ("embeddings_project/kernel", "embeddings_projection/kernel", (1, 1)),
    ("embeddings_project/bias", "embeddings_projection/bias", (1,)),
)

# Relative to `encoder/layer_0/` and `transformer_layer_0/`.
TF1_LAYER = (
    ("attention/self/query/kernel", "mixed_attention/query/kernel", (1, 2)),
    ("attention/self/query/bias", "mixed_attention/query/bias", (2,)),
    ("attention/self/key/kernel", "mixed_attention/key/kernel", (1, 2)),
    ("attention/self/key/bias", "mixed_attention/key/bias", (2,)),
    ("attention/self/value/kernel", "mixed_attention/value/kernel", (1, 2)),
    ("attention/self/value/bias", "mixed_attention/value/bias", (2,)),
    (
        "attention/self/conv_attn_key/depthwise_kernel",
        "mixed_attention/span_conv/depthwise_kernel",
        (1, 1, 0),
    ),
    (
        "attention/self/conv_attn_key/pointwise_kernel",
        "mixed_attention/span_conv/span_key/kernel",
        (0, 1, 2),
    ),
    (
        "attention/self/conv_attn_key/bias",
        "mixed_attention/span_conv/span_key/bias",
        (2,),
    ),
    (
        "attention/self/conv_attn_kernel/kernel",
        "mixed_attention/span_conv/kernel_generator/kernel",
        (2, 2),
    ),
    (
        "attention/self/conv_attn_kernel/bias",
        "mixed_attention/span_conv/kernel_generator/bias",
        (2,),
    ),
    (
        "attention/self/conv_attn_point/kernel",
        "mixed_attention/span_conv/value/kernel",
        (1, 2),
    ),
    (
        "attention/self/conv_attn_point/bias",
        "mixed_attention/span_conv/value/bias",
        (2,),
    ),
    (
        "attention/output/dense/kernel",
        "mixed_attention/output_projection/kernel",
        (2, 1),
    ),
    (
        "attention/output/dense/bias",
        "mixed_attention/output_projection/bias",
        (1,),
    ),
    ("attention/output/LayerNorm/gamma", "attention_layer_norm/gamma", (1,)),
    ("attention/output/LayerNorm/beta", "attention_layer_norm/beta", (1,)),
    ("intermediate/dense/kernel", "intermediate/kernel", (1, 1)),
    ("intermediate/dense/bias", "intermediate/bias", (1,)),
    ("intermediate/g_dense/kernel", "intermediate/blocks/kernel", (1, 1, 1)),
    ("intermediate/g_dense/bias", "intermediate/blocks/bias", (2,)),
    ("output/dense/kernel", "output_dense/kernel", (1, 1)),
    ("output/dense/bias", "output_dense/bias", (1,)),
    ("output/g_dense/kernel", "output_dense/blocks/kernel", (1, 1, 1)),
    ("output/g_dense/bias", "output_dense/blocks/bias", (2,)),
    ("output/LayerNorm/gamma", "output_layer_norm/gamma", (1,)),
    ("output/LayerNorm/beta", "output_layer_norm/beta", (1,)),
)

TF1_GENERATOR = "generator/"

# The pretraining heads of the generator and of the discriminator.
TF1_MASKED_LM_HEAD = (
    ("generator_predictions/dense/kernel", "mlm_head/dense/kernel", (1, 1)),
    ("generator_predictions/dense/bias", "mlm_head/dense/bias", (1,)),
    (
        "generator_predictions/LayerNorm/gamma",
        "mlm_head/layer_norm/gamma",
        (1,),
    ),
    ("generator_predictions/LayerNorm/beta", "mlm_head/layer_norm/beta", (1,)),
    ("generator_predictions/output_bias", "mlm_head/output_bias", (1,)),
)
TF1_DETECTION_HEAD = (
    ("discriminator_predictions/dense/kernel", "rtd_dense/kernel", (1, 1)),
    ("discriminator_predictions/dense/bias", "rtd_dense/bias", (1,)),
    ("discriminator_predictions/dense_1/kernel", "rtd_logits/kernel", (1, 1)),
    ("discriminator_predictions/dense_1/bias", "rtd_logits/bias", (1,)),
)
# Relative to `task_specific/<name of the fine-tuned task>/`.
TF1_CLASSIFIER_HEAD = (
    ("dense/kernel", "logits/kernel", (1, 1)),
    ("dense/bias", "logits/bias", (1,)),
)
TF1_TASKS = "task_specific/"

# Patterns of arrays that may be ignored in either kind of checkpoint.
TF1_IGNORED = (
    r"generator/.*",
    r"generator_predictions/.*",
    r"discriminator_predictions/.*",
    r"task_specific/.*",
    r".*/adam_[mv]",
    r"global_step",
)

# The encoder of the discriminator, without the shared embeddings.
TF1_DISCRIMINATOR = r"electra/(?!embeddings/).*"

TF1_ARGUMENTS = {**SHARED_ARGUMENTS, "linear_groups": "num_groups"}

# The array, and the axis of its shape, that give a size of the encoder.
TF1_EMBEDDING_SIZES = {
    "vocabulary_size": ("embeddings/word_embeddings", 0),
    "embedding_dim": ("embeddings/word_embeddings", 1),
    "max_sequence_length": ("embeddings/position_embeddings", 0),
    "num_segments": ("embeddings/token_type_embeddings", 0),
}
TF1_SIZES = {
    "hidden_dim": ("encoder/layer_0/attention/output/dense/bias", 0),
}
TF1_DENSE_SIZES = {
    "intermediate_dim": ("encoder/layer_0/intermediate/dense/bias", 0),
}
TF1_GROUPED_SIZES = {
    "intermediate_dim": ("encoder/layer_0/intermediate/g_dense/bias", 0),
    "num_groups": ("encoder/layer_0/intermediate/g_dense/kernel", 0),
}
TF1_CONV_SIZES = {
    "kernel_size": (
        "encoder/layer_0/attention/self/conv_attn_key/depthwise_kernel",
        0,
    ),
}
TF1_KERNELS = ("encoder/layer_0/attention/self/conv_attn_kernel/bias", 0)
TF1_ALL_HEADS = ("encoder/layer_0/attention/self/query/bias", 0)
