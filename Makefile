PYTHON ?= python3.11
BIN := .venv/bin
BACKENDS ?= tensorflow jax torch
# Options passed on: `make test ARGS="-k tokenizer"`, `make demo ARGS=--help`.
ARGS ?=

export TF_CPP_MIN_LOG_LEVEL ?= 3
# Two test workers share the cores: libraries must not take all for each.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal
# Else glibc gives memory back after each step, a third of the step's time.
KEEP_MEMORY := MALLOC_TOP_PAD_=268435456

.PHONY: demo test test-long lint format clean

demo: .venv/.runtime
	$(KEEP_MEMORY) $(BIN)/python examples/quickstart.py $(ARGS)

test: .venv/.dev
	@for backend in $(BACKENDS); do \
	  echo "== $$backend"; \
	  KERAS_BACKEND=$$backend $(PYTEST) $(ARGS) || exit 1; \
	done

test-long: .venv/.dev
	@for backend in $(BACKENDS); do \
	  echo "== $$backend"; \
	  KERAS_BACKEND=$$backend $(PYTEST) --long $(ARGS) || exit 1; \
	done

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv build dist *.egg-info quickstart_output

.venv/.runtime: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

.venv/.dev: requirements-dev.txt .venv/.runtime
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	touch $@
