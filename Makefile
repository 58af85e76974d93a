# make demo · make test · make lint · make bench: each sets up what it needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# Threads that spin while they wait slow down everything else on a small machine.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test test-extras test-slow lint bench clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("eclip needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(STAMP)            ## everything, on generated phantom chest X-rays: runs/demo/index.html
	$(BIN)/eclip demo

test: $(STAMP)            ## the tests that CI runs
	$(BIN)/pytest -m 'not slow' -n 2 --dist loadfile

test-slow: $(STAMP)       ## those that take minutes
	$(BIN)/pytest -m slow

# torchvision's ordinary wheel cannot load beside a CPU-only torch, and breaks transformers where it is installed: so it
# lies apart, with the packages that need it. tests/with_torchvision/conftest.py makes it load.
EXTRAS := $(VENV)/with-torchvision
$(EXTRAS)/.installed: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(EXTRAS) \
	  torchvision==0.28.0 timm==1.0.31 open_clip_torch==3.3.0 ftfy==6.3.1 wcwidth==0.9.4
	touch $@

test-extras: $(EXTRAS)/.installed   ## those of open_clip and timm
	PYTHONPATH=$(EXTRAS) $(BIN)/pytest tests/with_torchvision

lint: $(STAMP)            ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMP)           ## the numbers of benchmarks/RESULTS.md
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean:                    ## everything that the targets above made
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache
