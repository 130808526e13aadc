"""Added tokens are matched as `tokenizers` matches them, in graphs too."""

import random

import pytest

from keras_convbert.models import ConvBertTokenizer
from tests.models.convbert.texts import SPECIAL
from tests.models.convbert.texts import WORDS
from tests.models.convbert.texts import in_graph
from tests.text.test_bert_pretokenizer import with_offsets
from tests.text.test_bert_pretokenizer import with_offsets_in_graph

pytestmark = pytest.mark.once

# Overlapping, in other cases and scripts, inside of words, of one character,
# with spaces inside, and cleaned to something else.
CONTENTS = [
    *(
        "<loc>",
        "<Loc2>",
        "<",
        "ab",
        "abc",
        "BC",
        "a",
        "CAFÉ",
        "cafe",
        "[MASK]x",
    ),
    *("New York", "東京", "京a", "é", "##b", "x_y", "İ", "a\u0301b", "1", "…"),
]
FLAGS = ("lstrip", "rstrip", "normalized", "single_word")
PARTS = [
    *("ab", "abc", "ABC", "bc", "a", "b", "c", "é", "É", "cafe", "Café", "loc"),
    *("<", ">", "<loc>", "<LOC>", "<Loc2>", "2", "_", "x_y", "X_y", "1", "…"),
    *(
        "東",
        "京",
        "東京",
        "New York",
        "new  york",
        "İ",
        "i",
        "\u0301",
        "中",
        "##b",
    ),
    *(" ", " ", "  ", "\t", "\n", "\u00a0", "\u0085", "\u3000", "\u200d", "\0"),
    *(".", "-", "[", "\U000f0000", "\U000f0001", "\U000f0002", "\ufffd", "ⓐ"),
]
LETTERS = sorted({c for part in PARTS for c in part.lower() + part} - {*"\0\n"})
VOCABULARY = [
    *dict.fromkeys(
        [*SPECIAL, *WORDS, "ab", "abc", *LETTERS, *(f"##{c}" for c in LETTERS)]
    )
]


def reference(vocabulary, texts, added, lowercase):
    """Ids, starts and ends in `transformers`."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.ConvBertTokenizer(
        vocab={token: i for i, token in enumerate(vocabulary)},
        do_lower_case=lowercase,
    )
    tokenizer.add_tokens(
        [
            token
            if isinstance(token, str)
            else transformers.AddedToken(**{"normalized": True, **token})
            for token in added
        ]
    )
    found = tokenizer(
        texts, add_special_tokens=False, return_offsets_mapping=True
    )
    return tokenizer, [
        (list(ids), [s for s, _ in spans], [e for _, e in spans])
        for ids, spans in zip(
            found["input_ids"], found["offset_mapping"], strict=True
        )
    ]


def drawn_tokens(generator, lowercase):
    """Some added tokens with flags, of which no two look alike."""
    tokens = {}
    for content in generator.sample(CONTENTS, generator.randrange(8, 12)):
        token = {flag: generator.random() < 0.3 for flag in FLAGS}
        form = content.lower() if lowercase else content
        form = form.replace("é", "e") if lowercase else form
        tokens.setdefault(form, {"content": content, **token})
    return [*tokens.values()]


@pytest.mark.parametrize("lowercase", [True, False], ids=["uncased", "cased"])
@pytest.mark.parametrize("special", [True, False], ids=["special", "plain"])
def test_noise_around_added_tokens_gets_the_ids_of_transformers(
    lowercase, special
):
    generator = random.Random(f"{lowercase} {special}")
    parts = [*PARTS, *SPECIAL] if special else PARTS
    hits = 0
    for _ in range(1):
        added = drawn_tokens(generator, lowercase)
        contents = [token["content"] for token in added]
        texts = [
            "".join(generator.choices(parts + 4 * contents, k=7))
            for _ in range(800)
        ]
        if not special:
            texts = [t for t in texts if not any(s in t for s in SPECIAL)]
        tokenizer = ConvBertTokenizer(
            VOCABULARY,
            lowercase,
            added_tokens=added,
            special_tokens_in_strings=special,
        )
        theirs, wanted = reference(VOCABULARY, texts, added, lowercase)
        assert tokenizer.vocabulary_size() == len(theirs)
        ids = [row[0] for row in wanted]
        assert [list(row) for row in tokenizer(texts)] == ids, added
        assert in_graph(tokenizer, texts) == ids, added
        found = with_offsets(tokenizer, texts)
        assert found == wanted, added
        for text, one, other in zip(
            texts, with_offsets_in_graph(tokenizer, texts), found, strict=True
        ):
            assert tuple(map(list, one)) == tuple(map(list, other)), (
                text,
                added,
            )
        new = {theirs.convert_tokens_to_ids(content) for content in contents}
        hits += sum(bool(new & {*row}) for row in ids)
    assert hits > 300
