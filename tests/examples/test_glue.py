"""The layouts of GLUE's files, in fixtures of a few lines."""

import importlib
import pathlib
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.once
EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
FILES = {
    "sst2": ('sentence\tlabel\nit \'s "fine" .\t1\nbad\t0\n', [1, 0]),
    "cola": ("gj04\t1\t\tThey sailed.\ngj04\t0\t*\tSailed they it.\n", [1, 0]),
    "mrpc": (
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
        '1\t10\t11\tHe said "no\tHe "refused\n0\t12\t13\tA\tB\n',
        [1, 0],
    ),
    "stsb": (
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\t"
        "sentence1\tsentence2\tscore\n"
        "0\tmain\tx\t2012\t1\tnone\tnone\tA man\tA hat\t5.000\n"
        "1\tmain\tx\t2012\t2\tnone\tnone\tA dog\tA cat\t1.250\n",
        [1.0, 0.25],
    ),
    "rte": (
        "index\tsentence1\tsentence2\tlabel\n"
        "0\tIt rains.\tIt is wet.\tentailment\n"
        "1\tIt rains.\tIt is dry.\tnot_entailment\n",
        [0, 1],
    ),
    "qnli": (
        "index\tquestion\tsentence\tlabel\n"
        "0\tWho sings?\tAnn sings.\tentailment\n"
        "1\tWho sings?\tIt rains.\tnot_entailment\n",
        [0, 1],
    ),
    "mnli": (
        "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\t"
        "sentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\t"
        "sentence2\tlabel1\tgold_label\n"
        "0\t1\t1n\tfiction\t( a )\t( b )\t(R a)\t(R b)\tA.\tB.\tneutral\t"
        "neutral\n"
        "1\t1\t1c\tfiction\t( a )\t( b )\t(R a)\t(R b)\tA.\tNot A.\t"
        "contradiction\tcontradiction\n",
        [1, 2],
    ),
    "qqp": (
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
        "0\t1\t2\tWho is it?\tIs it Ann?\t0\n"
        "1\t3\t4\tbroken off\n"
        "2\t5\t6\tWhy?\tWhy so?\t1\n",
        [0, 1],
    ),
}


@pytest.fixture(scope="module")
def glue():
    sys.path.insert(0, str(EXAMPLES))
    yield importlib.import_module("glue")
    sys.path.remove(str(EXAMPLES))


@pytest.mark.parametrize("name", FILES)
def test_every_layout_is_read(name, glue, tmp_path):
    text, labels = FILES[name]
    (tmp_path / "dev.tsv").write_text(text, encoding="utf-8")
    task = glue.TASKS[name]
    texts, found = glue.read(tmp_path, ("dev.tsv",), task)
    np.testing.assert_array_equal(found, np.array(labels, found.dtype))
    first = texts[0] if isinstance(texts, tuple) else texts
    assert isinstance(texts, tuple) == (len(task.texts) == 2)
    assert len(first) == 2
    assert all(first)
    if name in ("sst2", "mrpc"):
        assert '"' in first[0]
    assert glue.metrics_of(name)[0].name


def test_other_columns_and_labels_are_refused(glue, tmp_path):
    (tmp_path / "dev.tsv").write_text("sentence\tlabel\na\t7\n")
    with pytest.raises(SystemExit, match=r"Received: \['7'\]"):
        glue.read(tmp_path, ("dev.tsv",), glue.TASKS["sst2"])
    with pytest.raises(SystemExit, match="Expected the columns"):
        glue.read(tmp_path, ("dev.tsv",), glue.TASKS["rte"])
