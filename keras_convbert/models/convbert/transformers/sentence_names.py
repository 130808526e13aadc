"""Files, names and settings of the sentence-transformers library; data only."""

MODULES_FILE = "modules.json"
MODEL_CONFIG_FILE = "config_sentence_transformers.json"
TEXT_CONFIG_FILE = "sentence_bert_config.json"
MODULE_CONFIG_FILE = "config.json"

TRANSFORMER = "Transformer"
POOLING = "Pooling"
DENSE = "Dense"
NORMALIZE = "Normalize"
# The modules of an embedder; the last two are optional.
MODULE_ORDERS = (
    (TRANSFORMER, POOLING),
    (TRANSFORMER, POOLING, NORMALIZE),
    (TRANSFORMER, POOLING, DENSE),
    (TRANSFORMER, POOLING, DENSE, NORMALIZE),
)
# The module of each class in old and new releases begins with this.
LIBRARY = "sentence_transformers."
MODULE_TYPE = "sentence_transformers.models."

# `pooling_mode` and our `pooling`.
POOLING_MODES = {"mean": "mean", "cls": "first", "max": "max"}
# The flags of older releases and the mode that each selects.
POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
DENSE_WEIGHTS = (
    ("linear.weight", "projection/kernel", (1, 1), (1, 0)),
    ("linear.bias", "projection/bias", (1,)),
)
# Classes of PyTorch, and the names in Keras.
DENSE_ACTIVATION = "torch.nn.modules.activation.Tanh"
DENSE_ACTIVATIONS = {
    DENSE_ACTIVATION: "tanh",
    "torch.nn.modules.linear.Identity": None,
    "torch.nn.modules.activation.GELU": "gelu",
    "torch.nn.modules.activation.Mish": "mish",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.ReLU6": "relu6",
    "torch.nn.modules.activation.SiLU": "silu",
    "torch.nn.modules.activation.Sigmoid": "sigmoid",
}

VECTOR = "sentence_embedding"
# Settings that are read, by kind of file.
UNDERSTOOD = {
    TRANSFORMER: {"max_seq_length", "do_lower_case"},
    POOLING: {"pooling_mode", "embedding_dimension", *POOLING_FLAGS},
    DENSE: {"in_features", "out_features", "bias", "activation_function"},
    NORMALIZE: set(),
    MODEL_CONFIG_FILE: {"default_prompt_name", "prompts"},
}
# Settings without effect on the vectors.
WITHOUT_EFFECT = {
    TRANSFORMER: {"unpad_inputs"},
    POOLING: {"word_embedding_dimension"},
    DENSE: set(),
    NORMALIZE: set(),
    MODEL_CONFIG_FILE: {"__version__", "similarity_fn_name"},
}
# Settings that must have one of the given values.
REQUIRED: dict[str, dict[str, tuple[object, ...]]] = {
    TRANSFORMER: {
        "transformer_task": ("feature-extraction", None),
        "modality_config": (
            {
                "text": {
                    "method": "forward",
                    "method_output_name": "last_hidden_state",
                }
            },
            None,
        ),
        "module_output_name": ("token_embeddings", None),
        "processing_kwargs": ({}, None),
        "model_args": ({}, None),
        "tokenizer_args": ({}, None),
        "config_args": ({}, None),
        "query_length": (None,),
        "document_length": (None,),
        "query_expansion": (None,),
    },
    POOLING: {"include_prompt": (True, False, None)},
    DENSE: {
        "module_input_name": (VECTOR, None),
        "module_output_name": (VECTOR, None),
        "use_residual": (False, None),
    },
    NORMALIZE: {
        "module_input_name": (VECTOR, None),
        "module_output_name": (VECTOR, None),
    },
    MODEL_CONFIG_FILE: {
        "model_type": ("SentenceTransformer", None),
        "truncate_dim": (None,),
    },
}
