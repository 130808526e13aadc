"""What others call the weights of ConvBERT: data, no code.

A row is a name of theirs, a path of ours, how many axes of ours each axis of
theirs stands for, and, where it is not ours, the order of theirs: see
`keras_convbert.checkpoints.assignment.Row`.
"""

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

# Below `encoder/layer_0/` and `transformer_layer_0/`.
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

# The heads of pretraining, of the generator and of the discriminator.
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
# Below `task_specific/…/`, the name that a fine-tuned task was given.
TF1_CLASSIFIER_HEAD = (
    ("dense/kernel", "logits/kernel", (1, 1)),
    ("dense/bias", "logits/bias", (1,)),
)
TF1_TASKS = "task_specific/"

# Patterns of the other arrays of a checkpoint of pretraining or fine-tuning.
TF1_OTHER_PARTS = (
    r"generator/.*",
    r"generator_predictions/.*",
    r"discriminator_predictions/.*",
    r"task_specific/.*",
    r".*/adam_[mv]",
    r"global_step",
)

# The encoder of the discriminator, whose embeddings the generator shares.
TF1_DISCRIMINATOR = r"electra/(?!embeddings/).*"

# Arguments that the authors' `BertConfig` and Hugging Face's `ConvBertConfig`
# share, and ours.
SHARED_ARGUMENTS = {
    "vocab_size": "vocabulary_size",
    "embedding_size": "embedding_dim",
    "hidden_size": "hidden_dim",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "intermediate_size": "intermediate_dim",
    "hidden_act": "activation",
    "hidden_dropout_prob": "dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "max_position_embeddings": "max_sequence_length",
    "type_vocab_size": "num_segments",
    "conv_kernel_size": "kernel_size",
    "head_ratio": "head_ratio",
}
TF1_ARGUMENTS = {**SHARED_ARGUMENTS, "linear_groups": "num_groups"}

# Where the sizes of an encoder are seen: a name, and an axis of its shape.
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

# Hugging Face's, in PyTorch: a head's model has the encoder below `convbert.`.
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

# Below `encoder.layer.0.` and `transformer_layer_0/`.
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

# The heads, by the class of ours, with the class of theirs.
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
    "ConvBertQuestionAnswerer": "ConvBertForQuestionAnswering",
}

# The output of the masked LM is the word embeddings; some files repeat them.
HF_TIED = "generator_lm_head.weight"

# Patterns of the other arrays of a file.
HF_OTHER_PARTS = (
    r"(convbert\.)?embeddings\.(position_ids|token_type_ids)",
    r"generator_predictions\..*",
    r"generator_lm_head\..*",
    r"classifier\..*",
    r"qa_outputs\..*",
    r"sequence_summary\..*",
)

# Older names, and those of the port before Hugging Face's: patterns, and what
# stands for them since.
HF_RENAMED = (
    (r"^conv_bert\.", "convbert."),
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
# What the port before Hugging Face's called some of them.
HF_OLDER_ARGUMENTS = {"linear_groups": "num_groups", "radio": "head_ratio"}
# The defaults of that class, which its files may leave out.
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
# Activations that both have: theirs, and ours.
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

# Hugging Face's `.h5` of TensorFlow has Keras's layout of kernels, but for the
# grouped ones; patterns of its names, what they are in PyTorch, and how axes
# stand there.
H5_RENAMED = (
    (r"/layer_\._(\d+)/", r"/layer/\1/"),
    (r"/depthwise_kernel$", "/depthwise/weight"),
    (r"/pointwise_kernel$", "/pointwise/weight"),
    (r"/(kernel|embeddings|gamma)$", "/weight"),
    (r"/beta$", "/bias"),
)
