"""Names of the ConvBERT weights in Hugging Face checkpoints; data only.

An entry holds the fields of
`keras_convbert.checkpoints.assignment.WeightMapping`: the name of the array,
the path of the variable, the number of variable axes per array axis, and, if
it differs, the order of the axes in the file.
"""

from keras_convbert.models.convbert.argument_names import SHARED_ARGUMENTS

# Prefix of the encoder in models with a head. Names are those of PyTorch.
HF_ENCODER = "convbert."

HF_EMBEDDINGS = (
    (
        "embeddings.word_embeddings.weight",
        "token_embedding/embeddings",
        (1, 1),
    ),
    (
        "embeddings.position_embeddings.weight",
        "position_embedding/embeddings",
        (1, 1),
    ),
    (
        "embeddings.token_type_embeddings.weight",
        "segment_embedding/embeddings",
        (1, 1),
    ),
    ("embeddings.LayerNorm.weight", "embeddings_layer_norm/gamma", (1,)),
    ("embeddings.LayerNorm.bias", "embeddings_layer_norm/beta", (1,)),
    (
        "embeddings_project.weight",
        "embeddings_projection/kernel",
        (1, 1),
        (1, 0),
    ),
    ("embeddings_project.bias", "embeddings_projection/bias", (1,)),
)

# Relative to `encoder.layer.0.` and `transformer_layer_0/`.
HF_LAYER = (
    (
        "attention.self.query.weight",
        "mixed_attention/query/kernel",
        (1, 2),
        (1, 0),
    ),
    ("attention.self.query.bias", "mixed_attention/query/bias", (2,)),
    ("attention.self.key.weight", "mixed_attention/key/kernel", (1, 2), (1, 0)),
    ("attention.self.key.bias", "mixed_attention/key/bias", (2,)),
    (
        "attention.self.value.weight",
        "mixed_attention/value/kernel",
        (1, 2),
        (1, 0),
    ),
    ("attention.self.value.bias", "mixed_attention/value/bias", (2,)),
    (
        "attention.self.key_conv_attn_layer.depthwise.weight",
        "mixed_attention/span_conv/depthwise_kernel",
        (1, 1, 0),
        (2, 0, 1),
    ),
    (
        "attention.self.key_conv_attn_layer.pointwise.weight",
        "mixed_attention/span_conv/span_key/kernel",
        (0, 1, 2),
        (2, 1, 0),
    ),
    (
        "attention.self.key_conv_attn_layer.bias",
        "mixed_attention/span_conv/span_key/bias",
        (2, 0),
    ),
    (
        "attention.self.conv_kernel_layer.weight",
        "mixed_attention/span_conv/kernel_generator/kernel",
        (2, 2),
        (1, 0),
    ),
    (
        "attention.self.conv_kernel_layer.bias",
        "mixed_attention/span_conv/kernel_generator/bias",
        (2,),
    ),
    (
        "attention.self.conv_out_layer.weight",
        "mixed_attention/span_conv/value/kernel",
        (1, 2),
        (1, 0),
    ),
    (
        "attention.self.conv_out_layer.bias",
        "mixed_attention/span_conv/value/bias",
        (2,),
    ),
    (
        "attention.output.dense.weight",
        "mixed_attention/output_projection/kernel",
        (2, 1),
        (1, 0),
    ),
    (
        "attention.output.dense.bias",
        "mixed_attention/output_projection/bias",
        (1,),
    ),
    ("attention.output.LayerNorm.weight", "attention_layer_norm/gamma", (1,)),
    ("attention.output.LayerNorm.bias", "attention_layer_norm/beta", (1,)),
    ("output.LayerNorm.weight", "output_layer_norm/gamma", (1,)),
    ("output.LayerNorm.bias", "output_layer_norm/beta", (1,)),
)
HF_FEED_FORWARD = (
    ("intermediate.dense.weight", "intermediate/kernel", (1, 1), (1, 0)),
    ("intermediate.dense.bias", "intermediate/bias", (1,)),
    ("output.dense.weight", "output_dense/kernel", (1, 1), (1, 0)),
    ("output.dense.bias", "output_dense/bias", (1,)),
)
HF_GROUPED_FEED_FORWARD = (
    ("intermediate.dense.weight", "intermediate/blocks/kernel", (1, 1, 1)),
    ("intermediate.dense.bias", "intermediate/blocks/bias", (2,)),
    ("output.dense.weight", "output_dense/blocks/kernel", (1, 1, 1)),
    ("output.dense.bias", "output_dense/blocks/bias", (2,)),
)

# The heads by the name of our class; `HF_CLASSES` has the class of theirs.
HF_HEADS = {
    "ConvBertMaskedLM": (
        (
            "generator_predictions.dense.weight",
            "mlm_head/dense/kernel",
            (1, 1),
            (1, 0),
        ),
        ("generator_predictions.dense.bias", "mlm_head/dense/bias", (1,)),
        (
            "generator_predictions.LayerNorm.weight",
            "mlm_head/layer_norm/gamma",
            (1,),
        ),
        (
            "generator_predictions.LayerNorm.bias",
            "mlm_head/layer_norm/beta",
            (1,),
        ),
        ("generator_lm_head.bias", "mlm_head/output_bias", (1,)),
    ),
    "ConvBertTextClassifier": (
        ("classifier.dense.weight", "pooled_dense/kernel", (1, 1), (1, 0)),
        ("classifier.dense.bias", "pooled_dense/bias", (1,)),
        ("classifier.out_proj.weight", "logits/kernel", (1, 1), (1, 0)),
        ("classifier.out_proj.bias", "logits/bias", (1,)),
    ),
    "ConvBertTokenClassifier": (
        ("classifier.weight", "logits/kernel", (1, 1), (1, 0)),
        ("classifier.bias", "logits/bias", (1,)),
    ),
    "ConvBertMultipleChoice": (
        (
            "sequence_summary.summary.weight",
            "summary/kernel",
            (1, 1),
            (1, 0),
        ),
        ("sequence_summary.summary.bias", "summary/bias", (1,)),
        ("classifier.weight", "logits/kernel", (1, 1), (1, 0)),
        ("classifier.bias", "logits/bias", (1,)),
    ),
    "ConvBertQuestionAnswerer": (
        ("qa_outputs.weight", "span_logits/kernel", (1, 1), (1, 0)),
        ("qa_outputs.bias", "span_logits/bias", (1,)),
    ),
}
HF_CLASSES = {
    "ConvBertBackbone": "ConvBertModel",
    "ConvBertMaskedLM": "ConvBertForMaskedLM",
    "ConvBertTextClassifier": "ConvBertForSequenceClassification",
    "ConvBertTokenClassifier": "ConvBertForTokenClassification",
    "ConvBertMultipleChoice": "ConvBertForMultipleChoice",
    "ConvBertQuestionAnswerer": "ConvBertForQuestionAnswering",
}
# Classes whose heads have arrays of the same names.
HF_SAME_ARRAYS = {
    "ConvBertMultipleChoice": "ConvBertTokenClassifier",
    "ConvBertTokenClassifier": "ConvBertMultipleChoice",
}
# The names of the earlier port begin with `Electra`.
HF_CLASS_PREFIX = "ConvBert"
PORT_CLASS_PREFIX = "Electra"

# The output of the masked LM, tied to the embeddings; some files repeat it.
HF_TIED = "generator_lm_head.weight"

# Patterns of arrays that may be ignored.
HF_IGNORED = (
    r"(convbert\.)?embeddings\.(position_ids|token_type_ids)",
    r"generator_predictions\..*",
    r"generator_lm_head\..*",
    r"discriminator_predictions\..*",
    r"classifier\..*",
    r"qa_outputs\..*",
    r"sequence_summary\..*",
)

# Older names, also of the port that preceded the one in `transformers`:
# patterns and their current replacements.
HF_RENAMED = (
    (r"^(conv_bert|electra)\.", "convbert."),
    (r"^generator\.lm_head\.", "generator_lm_head."),
    (r"\.separable_conv1d\.", ".key_conv_attn_layer."),
    (r"\.conv_attn_kernel\.", ".conv_kernel_layer."),
    (r"\.conv_attn_point\.", ".conv_out_layer."),
    (r"\.g_dense\.", ".dense."),
    (r"\.LayerNorm\.gamma$", ".LayerNorm.weight"),
    (r"\.LayerNorm\.beta$", ".LayerNorm.bias"),
)

HF_ARGUMENTS = {
    **SHARED_ARGUMENTS,
    "num_groups": "num_groups",
    "layer_norm_eps": "layer_norm_epsilon",
}
# Argument names of the older port.
HF_OLDER_ARGUMENTS = {"linear_groups": "num_groups", "radio": "head_ratio"}
# Defaults of `ConvBertConfig`, which `config.json` may omit.
HF_DEFAULTS = {
    "vocabulary_size": 30522,
    "embedding_dim": 768,
    "hidden_dim": 768,
    "num_layers": 12,
    "num_heads": 12,
    "intermediate_dim": 3072,
    "activation": "gelu",
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "max_sequence_length": 512,
    "num_segments": 2,
    "kernel_size": 9,
    "num_groups": 1,
    "head_ratio": 2,
    "layer_norm_epsilon": 1e-12,
}
# Supported activations: the Hugging Face name and the Keras name.
HF_ACTIVATIONS = {
    "gelu": "gelu",
    "relu": "relu",
    "relu6": "relu6",
    "silu": "silu",
    "swish": "silu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "mish": "mish",
    "linear": "linear",
}

# Patterns of names in `tf_model.h5`, and the PyTorch names. Kernels in this
# file have the Keras layout, except grouped ones.
H5_RENAMED = (
    (r"/layer_\._(\d+)/", r"/layer/\1/"),
    (r"/depthwise_kernel$", "/depthwise/weight"),
    (r"/pointwise_kernel$", "/pointwise/weight"),
    (r"/(kernel|embeddings|gamma)$", "/weight"),
    (r"/beta$", "/bias"),
)
