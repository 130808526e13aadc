"""The keys of `config.json` that are understood; data only.

Keys that set arguments of the backbone stand in `weight_names.py`.
"""

# Keys that only heads use. They change nothing for other classes.
HF_HEAD_KEYS = frozenset(
    {
        "num_labels",
        "id2label",
        "label2id",
        "problem_type",
        "classifier_dropout",
        "tie_word_embeddings",
        "summary_type",
        "summary_use_proj",
        "summary_proj_to_labels",
        "summary_activation",
        "summary_first_dropout",
        "summary_last_dropout",
    }
)

# Keys that must have one of the given values, and the reason.
HF_REQUIRED: dict[str, tuple[tuple[object, ...], str]] = {
    "is_decoder": (
        (False, None),
        "the convolution of a decoder would see later tokens",
    ),
    "add_cross_attention": (
        (False, None),
        "an encoder has no cross-attention",
    ),
    "is_encoder_decoder": ((False, None), "ConvBERT is an encoder"),
    "position_embedding_type": (
        ("absolute", None),
        "ConvBERT has absolute positions",
    ),
    "pruned_heads": (({}, None), "pruned heads are not supported"),
    "quantization_config": (
        (None,),
        "quantized Hugging Face weights are not supported",
    ),
    "auto_map": (
        ({}, None),
        "it names a model class in the Python code of the folder, which is "
        "never run",
    ),
}

# Keys that cannot change what a loaded encoder computes. Ids of special
# tokens come from the tokenizer, and dtypes from `dtype=` or the global policy.
HF_WITHOUT_EFFECT = frozenset(
    {
        # What the file describes
        "_commit_hash",
        "_name_or_path",
        "architectures",
        "finetuning_task",
        "model_type",
        "name_or_path",
        "task_specific_params",
        "tokenizer_class",
        "transformers_version",
        # Ids of special tokens
        "bos_token_id",
        "cls_token_id",
        "decoder_start_token_id",
        "eos_token_id",
        "mask_token_id",
        "pad_token_id",
        "sep_token_id",
        "unk_token_id",
        # How `transformers` runs a model and returns its results
        "_attn_implementation",
        "_attn_implementation_autoset",
        "_attn_implementation_internal",
        "attn_implementation",
        "chunk_size_feed_forward",
        "dtype",
        "gradient_checkpointing",
        "initializer_range",
        "output_attentions",
        "output_hidden_states",
        "output_past",
        "return_dict",
        "tf_legacy_loss",
        "torch_dtype",
        "torchscript",
        "use_bfloat16",
        "use_cache",
        "use_return_dict",
        "xla_device",
        # Decoders and text generation
        "bad_words_ids",
        "begin_suppress_tokens",
        "cross_attention_hidden_size",
        "diversity_penalty",
        "do_sample",
        "early_stopping",
        "encoder_no_repeat_ngram_size",
        "exponential_decay_length_penalty",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "length_penalty",
        "max_length",
        "min_length",
        "no_repeat_ngram_size",
        "num_beam_groups",
        "num_beams",
        "num_return_sequences",
        "output_scores",
        "prefix",
        "remove_invalid_values",
        "repetition_penalty",
        "return_dict_in_generate",
        "suppress_tokens",
        "temperature",
        "tie_encoder_decoder",
        "top_k",
        "top_p",
        "typical_p",
    }
)

# Settings of the head of multiple choice, and what `transformers` does without
# them.
SUMMARY_DEFAULTS: dict[str, object] = {
    "summary_type": "last",
    "summary_use_proj": False,
    "summary_proj_to_labels": False,
    "summary_activation": None,
    "summary_first_dropout": 0.0,
    "summary_last_dropout": 0.0,
}
# `summary_type` and our `pooling`. A ConvBERT passes no index for the third.
SUMMARY_TYPES = {
    "first": "first",
    "last": "last",
    "cls_index": "last",
    "mean": "mean",
}
# Defaults of the port that preceded the one in `transformers`, for keys whose
# `ConvBertConfig` default is another.
PORT_DEFAULTS: dict[str, object] = {
    "summary_type": "first",
    "summary_use_proj": True,
    "summary_activation": "gelu",
    "summary_last_dropout": 0.1,
}
# The `pad_token_id` of a `ConvBertConfig` that does not set it.
HF_PAD_TOKEN_ID = 1
