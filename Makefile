# make demo · make test · make lint · make bench: each sets up what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# Threads that spin while they wait slow down everything else on a small machine.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test test-slow lint bench clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("eclip needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)            ## everything, on generated phantom chest X-rays: runs/demo/index.html
	$(BIN)/eclip demo

test: $(STAMP)            ## the tests that CI runs
	$(BIN)/pytest -m 'not slow'

test-slow: $(STAMP)       ## those that take minutes
	$(BIN)/pytest -m slow

lint: $(STAMP)            ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)           ## the numbers of benchmarks/RESULTS.md
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:                    ## everything that the targets above made
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache
