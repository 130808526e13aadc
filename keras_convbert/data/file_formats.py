"""Recognizes files that are not text by their first bytes."""

# Formats with the offset of their magic number.
MAGIC_NUMBERS = (
    (0, b"\xff\xfe\0\0", "UTF-32 text"),
    (0, b"\0\0\xfe\xff", "UTF-32 text"),
    (0, b"\xff\xfe", "UTF-16 text"),
    (0, b"\xfe\xff", "UTF-16 text"),
    (0, b"\x1f\x8b", "a gzip file"),
    (0, b"\xfd7zXZ\0", "an xz file"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file"),
    (0, b"BZh91AY&SY", "a bzip2 file"),
    (0, b"PK\x03\x04", "a zip file (or .docx, .xlsx, .npz, .keras)"),
    (0, b"PK\x05\x06", "a zip file"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z file"),
    (0, b"\x04\x22\x4d\x18", "an lz4 file"),
    (0, b"\x1f\x9d", "a .Z file"),
    (0, b"LZIP\x01", "an lzip file"),
    (0, b"\x5d\0\0", "an LZMA file"),
    (0, b"\xff\x06\0\0sNaPpY", "a Snappy file"),
    (0, b"Rar!\x1a\x07", "a RAR file"),
    (257, b"ustar", "a tar file"),
    (0, b"PAR1\x15", "a Parquet file without the ending .parquet"),
    (0, b"ARROW1\0\0", "an Arrow file"),
    (0, b"Obj\x01", "an Avro file"),
    (0, b"%PDF-", "a PDF file"),
    (0, b"{\\rtf", "an RTF file"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a file of an office program"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG file"),
    (0, b"\xff\xd8\xff", "a JPEG file"),
    (0, b"GIF89a", "a GIF file"),
    (0, b"GIF87a", "a GIF file"),
    (0, b"OggS\0", "an Ogg file"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"SQLite format 3\0", "an SQLite file"),
    (0, b"\x93NUMPY", "a NumPy file"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ\x90\0", "a program"),
    (0, b"\0asm", "a WebAssembly file"),
)
# A file with zero bytes among the first ones is binary.
CHECKED = 4096


def format_name(start: bytes) -> str | None:
    """Returns what a file is that begins like this; `None` for text."""
    for offset, magic, name in MAGIC_NUMBERS:
        if start.startswith(magic, offset):
            return name
    if b"\0" in start[:CHECKED]:
        return "UTF-16 text or a binary file, since it has zero bytes"
    return None
