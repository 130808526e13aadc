import dataclasses
import hashlib
import json
import pathlib
from typing import TYPE_CHECKING
from typing import Any

from keras_convbert.files import AnyPath
from keras_convbert.files import write_text

if TYPE_CHECKING:
    from keras_convbert.models import ConvBertTokenizer

FILE_NAME = "manifest.json"
# Raised when shards can no longer be read by what came before.
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Packing:
    """How to tell apart the sequences that share a row.

    Args:
        gap: int. Positions of padding between two.
        start_token_id: int. Id of `[CLS]`.
        end_token_id: int. Id of `[SEP]`.
    """

    gap: int
    start_token_id: int
    end_token_id: int


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a folder of shards holds; written last, it says they are whole.

    Args:
        sequence_length: int. Length of a row, special tokens included.
        vocabulary_size: int. Number of tokens of the tokenizer.
        pad_token_id: int. Id of `[PAD]`.
        mask_token_id: int. Id of `[MASK]`.
        special_token_ids: list of ints. Ids that are never hidden.
        tokenizer_hash: string. A hash of the tokenizer's vocabulary and
            settings.
        dtype: string. Type of the shards, `"uint16"` or `"uint32"`.
        seed: int. Seed of the random choices.
        shards: list of ints. Rows of each shard.
        rows: int. Rows of all shards.
        tokens: int. Tokens in them that are no padding.
        documents: int. Documents read.
        lines: int. Lines read that were not blank.
        bad_lines: int. Lines that were not all UTF-8.
        packing: `Packing` of rows that several sequences share; `None` where
            each sequence has a row to itself. Defaults to `None`.
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
        """Writes the manifest of a folder, and returns what it wrote."""
        content = {"format": FORMAT, **dataclasses.asdict(self)}
        path = pathlib.Path(directory) / FILE_NAME
        write_text(path, json.dumps(content, indent=2) + "\n")
        return content

    @classmethod
    def read(cls, directory: AnyPath) -> "Manifest":
        """Reads the manifest of a folder.

        Raises:
            FileNotFoundError: if the folder has none.
            ValueError: if it is of a newer format, or damaged.
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
            # Manifests from before there was packing have no such field.
            packing = content.pop("packing", None)
            if version == FORMAT:
                if packing is not None:
                    packing = Packing(**packing)
                return cls(**content, packing=packing)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{str(path)!r} is damaged: {error}") from error
        raise ValueError(
            f"Expected shards of format {FORMAT}; this version of "
            f"keras_convbert reads no other. Received: format={version} in "
            f"{str(path)!r}"
        )


def hash_tokenizer(tokenizer: "ConvBertTokenizer") -> str:
    """A hash of all that decides which ids a text gets."""
    settings = [
        tokenizer.vocabulary,
        tokenizer.lowercase,
        tokenizer.strip_accents,
    ]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()
