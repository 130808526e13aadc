"""Argument names in the configs of other implementations."""

# Names shared by `BertConfig` of the authors and the Hugging Face
# `ConvBertConfig`, mapped to arguments of `ConvBertBackbone`.
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
