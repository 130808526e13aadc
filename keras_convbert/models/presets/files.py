"""File names of presets in the format of KerasHub."""

CONFIG_FILE = "config.json"
TASK_FILE = "task.json"
PREPROCESSOR_FILE = "preprocessor.json"
TOKENIZER_FILE = "tokenizer.json"
METADATA_FILE = "metadata.json"
WEIGHTS_FILE = "model.weights.h5"
WEIGHTS_INDEX_FILE = "model.weights.json"
TASK_WEIGHTS_FILE = "task.weights.h5"
CONFIG_FILES = (CONFIG_FILE, TASK_FILE, PREPROCESSOR_FILE, TOKENIZER_FILE)
ASSET_FILES = ("assets/tokenizer/vocabulary.txt",)
