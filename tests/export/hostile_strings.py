"""Strings such as reach a server, and such as should not."""

import random

PARTS = [
    b"good",
    b"bad films",
    b" ",
    b"\t\n",
    b"\0",
    b"!",
    b"[SEP]",
    b"[MASK] [CLS]",
    b"\xff\xfe",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    "café é".encode(),
    "電影".encode(),
    "\u202eabc\u202c שלום".encode(),
    "\U0001f600\u200d\U0001f469".encode(),
    "\u0301\u0301".encode(),
    "İŞ ß Σς".encode(),
    "½ ﬁ \ufeff".encode(),
    b"x" * 150,
]
FIXED = [
    b"",
    b"\0",
    b" ",
    b"[SEP]" * 512,
    b"good " * 200_000,
    b"x" * 1_000_000,
    "\U0001f600".encode() * 250_000,
    b"\xff" * 1_000_000,
]


def strings(number, seed=0):
    """`number` of them, those of `FIXED` first."""
    rng = random.Random(seed)
    made = FIXED[:number]
    while len(made) < number:
        kind = rng.random()
        if kind < 0.7:
            made.append(b"".join(rng.choices(PARTS, k=rng.randrange(12))))
        elif kind < 0.85:
            made.append(rng.randbytes(rng.randrange(40)))
        else:
            points = (rng.randrange(0x110000) for _ in range(rng.randrange(20)))
            text = "".join(map(chr, points))
            made.append(text.encode("utf-8", "surrogatepass"))
    return made
