import dataclasses
import hashlib
import json
import pathlib
from typing import TYPE_CHECKING
from typing import Any

from keras_convbert.files import AnyPath
from keras_convbert.files import write_text
from keras_convbert.text.bert_pretokenizer import MAX_CHARACTERS_PER_WORD

if TYPE_CHECKING:
    from keras_convbert.models.base.word_piece_tokenizer import (
        WordPieceTokenizer,
    )

FILE_NAME = "manifest.json"
# Increased when older versions can no longer read the shards.
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Packing:
    """How the sequences of a packed row are told apart.

    Args:
        gap: int. Padding positions between two sequences.
        start_token_id: int. Id of `[CLS]`.
        end_token_id: int. Id of `[SEP]`.
    """

    gap: int
    start_token_id: int
    end_token_id: int


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The contents of a folder of shards, written when they are complete.

    Args:
        sequence_length: int. Length of a row, special tokens included.
        vocabulary_size: int. Number of tokens of the tokenizer.
        pad_token_id: int. Id of `[PAD]`.
        mask_token_id: int. Id of `[MASK]`.
        special_token_ids: list of ints. Ids that are never masked.
        tokenizer_hash: string. Hash of the vocabulary and settings of the
            tokenizer.
        dtype: string. Dtype of the shards, `"uint16"` or `"uint32"`.
        seed: int. Seed of the random choices.
        shards: list of ints. Number of rows per shard.
        rows: int. Number of rows of all shards.
        tokens: int. Number of tokens in them, without padding.
        documents: int. Number of documents.
        lines: int. Number of lines that are not blank.
        bad_lines: int. Number of lines with invalid UTF-8.
        packing: `Packing` of rows with several sequences; `None` for one
            sequence per row. Defaults to `None`.
    """

    sequence_length: int
    vocabulary_size: int
    pad_token_id: int
    mask_token_id: int
    special_token_ids: list[int]
    tokenizer_hash: str
    dtype: str
    seed: int
    shards: list[int]
    rows: int
    tokens: int
    documents: int
    lines: int
    bad_lines: int
    packing: Packing | None = None

    def write(self, directory: AnyPath) -> dict[str, Any]:
        """Writes the manifest to a folder, and returns its contents."""
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        path = pathlib.Path(directory) / FILE_NAME
        write_text(path, json.dumps(content, indent=2) + "\n")
        return content

    @classmethod
    def read(cls, directory: AnyPath) -> "Manifest":
        """Reads the manifest of a folder.

        Raises:
            FileNotFoundError: if the folder has none.
            ValueError: if it has another format, or is damaged.
        """
        path = pathlib.Path(directory) / FILE_NAME
        if not path.is_file():
            raise FileNotFoundError(
                "Expected a folder that `keras_convbert.data.prepare` has "
                f"written, with a file {FILE_NAME!r}. "
                f"Received: directory={str(directory)!r}"
            )
        try:
            content = json.loads(path.read_text("utf-8"))
            version = content.pop("format")
            # Manifests older than packing have no such field.
            packing = content.pop("packing", None)
            if version == FORMAT:
                if packing is not None:
                    packing = Packing(**packing)
                return cls(**content, packing=packing)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{str(path)!r} is damaged: {error}") from error
        raise ValueError(
            f"Expected shards of format {FORMAT}, the only one that this "
            f"version of keras_convbert reads. Received: format={version} in "
            f"{str(path)!r}"
        )


def hash_tokenizer(tokenizer: "WordPieceTokenizer") -> str:
    """Returns a hash of everything that determines the ids of a text."""
    config = tokenizer.get_config()
    settings: list[Any] = [
        tokenizer.vocabulary,
        tokenizer.lowercase,
        tokenizer.strip_accents,
    ]
    # Older manifests do not have these settings.
    for name, default in (
        ("added_tokens", []),
        ("max_input_chars_per_word", MAX_CHARACTERS_PER_WORD),
    ):
        if config[name] != default:
            settings.append({name: config[name]})
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()
