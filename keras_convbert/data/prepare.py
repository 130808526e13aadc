from typing import Any

import numpy as np

from keras_convbert.data.documents import Corpus
from keras_convbert.data.documents import Files
from keras_convbert.data.manifest import Manifest
from keras_convbert.data.manifest import Packing
from keras_convbert.data.manifest import hash_tokenizer
from keras_convbert.data.progress import progress_bar
from keras_convbert.data.row_maker import LENGTH_COLUMNS
from keras_convbert.data.row_maker import RowMaker
from keras_convbert.data.row_packer import RowPacker
from keras_convbert.data.shards import ShardWriter
from keras_convbert.data.workers import available_cores
from keras_convbert.data.workers import check_workers
from keras_convbert.data.workers import map_in_order
from keras_convbert.files import AnyPath
from keras_convbert.files import atomic_folder
from keras_convbert.models.base.word_piece_tokenizer import WordPieceTokenizer

SHORTEST_SEQUENCE = 8
LONGEST_SEQUENCE = np.iinfo("uint16").max


def prepare(
    files: Files,
    tokenizer: WordPieceTokenizer,
    directory: AnyPath,
    sequence_length: int = 128,
    seed: int = 0,
    workers: int | None = None,
    shard_rows: int = 1 << 20,
    progress: bool = True,
    pack: bool = False,
    kernel_size: int = 9,
    column: str = "text",
    errors: str = "warn",
) -> dict[str, Any]:
    """Turns documents into training sequences, in a folder of shards.

    Each document becomes rows `[CLS] A [SEP] B [SEP]`, some of them without
    `B`, by the rule of ELECTRA but without losing tokens: text that does not
    fit into a row starts the next one. A row has text of one document only.
    Special tokens that occur in the text are read as ordinary text.

    The corpus is read once, in bounded memory. The result does not depend on
    the number of workers. The folder appears when it is complete. Train on it
    with `PretrainingDataset`.

    The last row of a document is short and padded. With `pack=True` short
    rows are packed together, with padding between them, for a backbone with
    `packed=True`, which processes each sequence independently.

    Args:
        files: a path, or an iterable of paths, of UTF-8 text, plain or
            compressed by gzip, xz or zstd (which needs pyarrow before Python
            3.14). A line is a sentence or a paragraph. A blank line ends a
            document, and so does the end of a file. In a JSON Lines file
            (`.jsonl`, plain or compressed) or a Parquet file (`.parquet`,
            needs pyarrow) each row is a document; blank lines in it do not
            count, and rows without a value are skipped.
        tokenizer: a `ConvBertTokenizer` with a vocabulary.
        directory: path of the folder to write. It must be missing or empty.
        sequence_length: int. Length of a row, special tokens included.
            Defaults to `128`.
        seed: int. Seed of the random choices. Defaults to `0`.
        workers: int. Number of processes; `None` is one per core. Defaults to
            `None`.
        shard_rows: int. Number of rows per shard; the last one may have fewer.
            Defaults to `1048576`.
        progress: bool. Whether to show a progress bar. Defaults to `True`.
        pack: bool. Whether to pack short rows together. Defaults to `False`.
        kernel_size: int. Kernel size of the model that packed rows are for.
            `kernel_size // 2` padding positions separate two sequences, so
            that the convolution does not reach across. Defaults to `9`.
        column: string. The column of JSON Lines and Parquet files with the
            text. Defaults to `"text"`.
        errors: string. `"warn"` leaves out invalid UTF-8 with a warning, but
            raises an error if most lines have some. `"replace"` leaves it out
            in any case. Defaults to `"warn"`.

    Returns:
        The manifest of the folder, as in its `manifest.json`. It has the
        numbers of `rows`, of `tokens` without padding, of `documents`, of
        `lines`, and of `bad_lines`, which have invalid UTF-8. Invalid bytes
        are left out, and a warning gives the number of such lines.

    Raises:
        ValueError: if an argument is out of its range, if a file is not text
            or has no such column, or if there is no text at all.
        FileNotFoundError: if a file is missing.
        FileExistsError: if `directory` exists and is not empty.
        BlockingIOError: if another process writes to `directory`.

    Example:

    ```python
    import pathlib
    import tempfile

    from keras_convbert.data import PretrainingDataset
    from keras_convbert.data import prepare
    from keras_convbert.data import train_vocabulary
    from keras_convbert.models import ConvBertTokenizer

    folder = pathlib.Path(tempfile.mkdtemp())
    corpus = folder / "corpus.txt"
    corpus.write_text("A sentence.\\nAnother one.\\n\\nA new document.\\n")
    tokenizer = ConvBertTokenizer(train_vocabulary(corpus, size=100))
    prepare(corpus, tokenizer, folder / "shards", sequence_length=16)
    dataset = PretrainingDataset(folder / "shards", batch_size=2)
    dataset[0]["token_ids"].shape  # (2, 16)
    ```

    Reference:
        - [ELECTRA](https://arxiv.org/abs/2003.10555), section 3
    """
    _check_arguments(tokenizer, sequence_length, seed, shard_rows, kernel_size)
    workers = available_cores() if workers is None else check_workers(workers)
    corpus = Corpus(files, column, errors)
    maker = _row_maker(tokenizer, sequence_length, seed)
    packer = packing = None
    width = LENGTH_COLUMNS + sequence_length
    if pack:
        gap = kernel_size // 2
        packing = Packing(gap, maker.start_token_id, maker.end_token_id)
        packer = RowPacker(
            sequence_length, gap, maker.pad_token_id, maker.dtype
        )
        width = sequence_length
    tokens = lines = bad_lines = 0
    with atomic_folder(directory) as temporary:
        writer = ShardWriter(temporary, width, maker.dtype, shard_rows)
        chunks = corpus.chunks(progress_bar(corpus.size, progress))
        for made in map_in_order(maker, chunks, workers):
            writer.write(packer.add(made.rows) if packer else made.rows)
            tokens += made.tokens
            lines += made.lines
            bad_lines += made.bad_lines
        if packer:
            writer.write(packer.rest())
        writer.close()
        if not writer.shards:
            raise ValueError(
                "Expected files with text in them. Received: files="
                f"{[str(path) for path in corpus.paths]}"
            )
        corpus.report_bad_lines(bad_lines, lines)
        manifest = Manifest(
            sequence_length=sequence_length,
            vocabulary_size=tokenizer.vocabulary_size(),
            pad_token_id=tokenizer.pad_token_id,
            mask_token_id=tokenizer.mask_token_id,
            special_token_ids=sorted(tokenizer.special_token_ids),
            tokenizer_hash=hash_tokenizer(tokenizer),
            dtype=maker.dtype,
            seed=seed,
            shards=writer.shards,
            rows=sum(writer.shards),
            tokens=tokens,
            documents=corpus.documents,
            lines=lines,
            bad_lines=bad_lines,
            packing=packing,
        )
        content = manifest.write(temporary)
    return content


def _row_maker(
    tokenizer: WordPieceTokenizer, sequence_length: int, seed: int
) -> RowMaker:
    rust = tokenizer.rust_tokenizer(special_tokens_in_strings=False)
    largest = tokenizer.vocabulary_size() - 1
    return RowMaker(
        tokenizer=rust.to_str(),
        sequence_length=sequence_length,
        dtype="uint16" if largest <= np.iinfo("uint16").max else "uint32",
        seed=seed,
        pad_token_id=tokenizer.pad_token_id,
        start_token_id=tokenizer.cls_token_id,
        end_token_id=tokenizer.sep_token_id,
    )


def _check_arguments(
    tokenizer: WordPieceTokenizer,
    sequence_length: int,
    seed: int,
    shard_rows: int,
    kernel_size: int,
) -> None:
    if (
        not isinstance(tokenizer, WordPieceTokenizer)
        or tokenizer.vocabulary is None
    ):
        raise ValueError(
            "Expected `tokenizer` to be a `ConvBertTokenizer` with a "
            f"vocabulary. Received: tokenizer={tokenizer}"
        )
    if not SHORTEST_SEQUENCE <= sequence_length <= LONGEST_SEQUENCE:
        raise ValueError(
            f"Expected `sequence_length` from {SHORTEST_SEQUENCE} to "
            f"{LONGEST_SEQUENCE}. Received: sequence_length={sequence_length!r}"
        )
    if seed < 0 or shard_rows < 1:
        raise ValueError(
            "Expected `seed` of at least 0 and `shard_rows` of at least 1. "
            f"Received: seed={seed}, shard_rows={shard_rows}"
        )
    if kernel_size < 1:
        raise ValueError(
            "Expected `kernel_size` of at least 1. "
            f"Received: kernel_size={kernel_size}"
        )
