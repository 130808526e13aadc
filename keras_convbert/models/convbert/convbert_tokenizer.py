import keras

from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_folder
from keras_convbert.models.base.word_piece_tokenizer import WordPieceTokenizer
from keras_convbert.models.convbert.convbert_backbone import ConvBertBackbone
from keras_convbert.models.convbert.transformers.tokenizer import (
    write_tokenizer,
)


@keras.saving.register_keras_serializable(package="keras_convbert")
class ConvBertTokenizer(WordPieceTokenizer):
    """BERT tokenizer: converts text to word-piece ids and back.

    Its ids equal those of the Hugging Face BERT tokenizer: control characters
    are deleted, any Unicode space separates words, accents are stripped, each
    CJK or punctuation character is a separate word, and words of more than 100
    characters are unknown. It runs in Python (through Rust) and, inside
    `tf.data` and SavedModels, as TensorFlow operations, with the same ids.

    Bytes that are not valid UTF-8 are deleted, like NUL.

    Args:
        vocabulary: list of strings, the tokens in the order of their ids, or
            the path of a text file with one token per line. The file that the
            ConvBERT authors published is repaired, with a warning. `None`
            requires a later `set_vocabulary`. Defaults to `None`.
        lowercase: bool. Whether to lowercase. Defaults to `True`.
        strip_accents: bool. Whether to strip accents; `None` follows
            `lowercase`. Defaults to `None`.
        special_tokens_in_strings: bool. Whether strings such as `"[MASK]"` in a
            text become special tokens; otherwise they are ordinary text.
            Defaults to `False`.
        sequence_length: int. Length to pad or cut to; `None` does neither.
            Defaults to `None`.
        dtype: string. Type of the output, an integer type or `"string"`.
            Defaults to `"int32"`.
        added_tokens: list of strings or dicts. Tokens that are matched in a
            text before it is split into words; see `add_tokens`. Those that
            the vocabulary lacks get the ids after it. Defaults to `()`.
        max_input_chars_per_word: int. Longer words are unknown. Defaults to
            `100`.
        **kwargs: `name` and `trainable`.

    Call arguments:
        inputs: a string, a list of strings, or a string tensor.

    Raises:
        ValueError: if the vocabulary is damaged, has duplicates or lacks a
            special token; if an added token is not one; if an input is not
            text.

    Example:

    ```python
    from keras_convbert.models import ConvBertTokenizer

    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokens += ["cafe", "open", "##s", "."]
    tokenizer = ConvBertTokenizer(vocabulary=tokens)
    tokenizer(["Café opens."])  # [[5, 6, 7, 8]]
    tokenizer.detokenize([5, 6, 7, 8])  # "cafe opens ."
    ```

    Reference:
        - [BERT](https://arxiv.org/abs/1810.04805), section 3
    """

    backbone_cls = ConvBertBackbone

    def export_to_transformers(self, path: AnyPath) -> None:
        """Writes the tokenizer files that `transformers` loads.

        Args:
            path: path of the folder. It must be empty or not exist.

        Raises:
            FileExistsError: if `path` is a file or a folder with content.
        """
        self._check_vocabulary()
        with atomic_folder(path) as folder:
            write_tokenizer(self, folder)
