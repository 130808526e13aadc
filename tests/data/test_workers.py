import operator
import os

import pytest

from keras_convbert.data.workers import map_in_order

pytestmark = pytest.mark.once


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_are_those_of_map_in_its_order(workers):
    items = [(i,) * (i % 7) for i in range(40)]
    results = map_in_order(len, items, workers)
    assert list(results) == [i % 7 for i in range(40)]


def test_work_is_done_by_several_other_processes():
    questions = ["__import__('os').getpid()"] * 60
    processes = set(map_in_order(eval, questions, workers=2))
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_workers_import_no_keras():
    question = (
        "__import__('keras_convbert.data.row_maker') and "
        "__import__('keras_convbert.data.word_counter') and "
        "[m for m in ('numpy', 'tokenizers', 'keras', 'keras_hub', "
        "'tensorflow', 'jax', 'torch') if m in __import__('sys').modules]"
    )
    (modules,) = map_in_order(eval, [question], workers=2)
    assert modules == ["numpy", "tokenizers"]


def test_workers_that_count_words_start_fast():
    """NumPy and locks take longer to import than a megabyte to count."""
    question = (
        "__import__('keras_convbert.data.word_counter') and "
        "[m for m in ('numpy', 'filelock', 'asyncio', 'pyarrow') "
        "if m in __import__('sys').modules]"
    )
    (modules,) = map_in_order(eval, [question], workers=2)
    assert modules == []


def test_workers_find_the_modules_of_the_caller(tmp_path, monkeypatch):
    (tmp_path / "a_module_of_the_caller.py").write_text("answer = abs\n")
    monkeypatch.syspath_prepend(tmp_path)
    answer = __import__("a_module_of_the_caller").answer
    assert list(map_in_order(answer, [-1, 2], workers=2)) == [1, 2]


def test_items_are_read_no_faster_than_results_are_taken():
    read = []

    def items():
        for i in range(1000):
            read.append(i)
            yield i

    results = map_in_order(operator.neg, items(), workers=2)
    for _ in range(10):
        next(results)
    assert len(read) < 20
    results.close()


def test_what_a_worker_prints_does_not_get_among_the_results(capfd):
    items = ["print('hello')", "1 + 1"]
    assert list(map_in_order(eval, items, workers=2)) == [None, 2]


@pytest.mark.parametrize(
    ("item", "code"),
    [("1 / 0", 1), ("__import__('os')._exit(3)", 3)],
    ids=["exception", "exit"],
)
def test_end_of_a_worker_is_an_error(item, code, capfd):
    results = map_in_order(eval, ["1", item, *["2"] * 10], workers=2)
    message = f"worker process ended early, with exit code {code}"
    with pytest.raises(RuntimeError, match=message):
        list(results)
    if code == 1:
        assert "ZeroDivisionError" in capfd.readouterr().err


def test_error_of_the_items_passes_through_and_ends_the_workers():
    def items():
        yield "__import__('os').getpid()"
        yield from ["1"] * 10
        raise KeyError("no more")

    results = map_in_order(eval, items(), workers=2)
    process = next(results)
    with pytest.raises(KeyError, match="no more"):
        list(results)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
