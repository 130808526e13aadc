"""Repairs the vocabulary that the ConvBERT authors published.

Its UTF-8 was read as GBK and saved again, with other line ends. The ASCII
lines are those of BERT-uncased. The package contains the other lines.
"""

import functools
import hashlib
import importlib.resources

SIZE = 30522
FOREIGN_FILE = "bert_uncased_foreign.tsv"
# Of the ASCII lines of BERT-uncased with their numbers.
ASCII_HASH = "942a32c9abb1bf3a41294c4d9a3344f057388d0b207dd5238429205453d38c92"


@functools.cache
def foreign_lines() -> dict[int, str]:
    """Returns the lines of BERT-uncased that are not ASCII, by number."""
    file = importlib.resources.files("keras_convbert.text") / FOREIGN_FILE
    lines = file.read_bytes().decode("utf-8").split("\n")[:-1]
    return {int(n): token for n, token in (x.split("\t") for x in lines)}


def ascii_hash(lines: list[str]) -> str:
    """Returns a hash of the ASCII lines and their numbers."""
    content = "".join(
        f"{i}\t{line}\n" for i, line in enumerate(lines) if line.isascii()
    )
    return hashlib.sha256(content.encode()).hexdigest()


def repair(lines: list[str]) -> int:
    """Repairs the lines of a damaged BERT-uncased in place.

    Returns:
        The number of lines that changed: 0 if the lines are whole, or those
        of another vocabulary.
    """
    if len(lines) != SIZE or ascii_hash(lines) != ASCII_HASH:
        return 0
    foreign = foreign_lines()
    wrong = [i for i, token in foreign.items() if lines[i] != token]
    for i in wrong:
        lines[i] = foreign[i]
    return len(wrong)
