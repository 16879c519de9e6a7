# make demo and make test do everything on a machine with Python 3.10 or newer and nothing else.
#   PYTHON=python3.12    which Python makes the environment
#   VENV=path            another environment than .venv; one that exists is used as it is
#   PIP_EXTRA_INDEX_URL= where pip finds a CPU build of torch, see README
#   CONSTRAINTS=         any torch that pyproject.toml allows, for example a GPU build installed before

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
WORKERS ?= 2

BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
EXAMPLES := $(filter-out examples/demo.py,$(sort $(wildcard examples/*.py)))

# The oldest releases that are allowed run the tests of what releases change: checks, losses, fit, predict, search, pickling.
MINIMUM_VENV ?= .venv-minimum
MINIMUM_TESTS := tests/test_architecture.py tests/losses tests/prediction tests/targets tests/test_sklearn_data.py \
	tests/test_sklearn_search.py tests/model_selection/test_search.py tests/estimators/test_ensemble.py

.PHONY: help demo test test-minimum lint format examples docs claims bench bench-search bench-accuracy skorch-suite clean

help:
	@echo "make demo      run the main job: scores per column, output/demo.png"
	@echo "make test      run all tests, with coverage"
	@echo "make test-minimum  run a fast part of the tests with the oldest releases that are allowed"
	@echo "make examples  run every example"
	@echo "make lint      check style and types (make format repairs style)"
	@echo "make docs      write docs/losses.md and the docstrings of the named estimators from docstrings"
	@echo "make claims    measure what the package claims: giou, rotation, coverage, speed and more"
	@echo "make bench     time fit and predict, and measure memory, beside others; some ten minutes"
	@echo "make bench-search  time searches and ensembles beside others; some five minutes"
	@echo "make bench-accuracy  compare accuracy with forests, ridge and others on FOLDER (by default OpenML's copies)"
	@echo "make skorch-suite  run skorch's own tests with our estimator in place; some five minutes"
	@echo "make clean     remove the environment and everything made"

demo: $(VENV)/.installed-examples
	@$(BIN)/python examples/demo.py

# Two tests run side by side: with one thread each they do not fight for the cores.
test: $(VENV)/.installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --cov=skmulti --cov-report=term-missing:skip-covered

test-minimum:
	@$(MAKE) --no-print-directory VENV=$(MINIMUM_VENV) CONSTRAINTS="constraints.txt -c constraints-minimum.txt" \
		$(MINIMUM_VENV)/.installed-test
	OMP_NUM_THREADS=1 $(MINIMUM_VENV)/bin/python -m pytest -n $(WORKERS) $(MINIMUM_TESTS)
	OMP_NUM_THREADS=1 $(MINIMUM_VENV)/bin/python -m pytest -n $(WORKERS) tests/test_common.py \
		-k "fast or (NetRegressor and not n_members)"

examples: $(VENV)/.installed-examples
	@set -e; for example in $(EXAMPLES) examples/demo.py; do \
		echo "== $$example"; OMP_NUM_THREADS=1 $(BIN)/python $$example; done

docs: $(VENV)/.installed-examples
	$(BIN)/python docs/make_losses.py
	$(BIN)/python docs/sync_docstrings.py

# Of the claims some are ratios of times: one thread, and nothing beside it.
claims: $(VENV)/.installed-examples
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/claims.py

# With as many threads as each contestant takes by itself, and nothing beside it.
bench: $(VENV)/.installed-examples
	$(BIN)/python benchmarks/fit.py
	$(BIN)/python benchmarks/predict.py
	$(BIN)/python benchmarks/memory.py --rounds 1

bench-search: $(VENV)/.installed-examples
	$(BIN)/python benchmarks/search.py

# Processor seconds of a fit are those of one thread. Peers that weigh more come with pip install -e ".[peers]".
bench-accuracy: $(VENV)/.installed-examples
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/accuracy.py $(or $(FOLDER),--openml) --results output/accuracy.jsonl

# What fails is listed with its reason in tests/skorch_suite/by_design.py.
skorch-suite: $(VENV)/.installed-test
	SKORCH_SUITE=all OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/skorch_suite

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv $(MINIMUM_VENV) build dist output .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find skmulti tests examples -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@echo "making the environment $(VENV)"
	@$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(f"Python 3.10 or newer is needed, this is {v}: make PYTHON=..." if sys.version_info < (3, 10) else 0)'
	@$(PYTHON) -m venv $(VENV)

# torch comes first and alone, so that what depends on it finds it and brings no other.
$(VENV)/.torch: $(wildcard $(CONSTRAINTS)) | $(BIN)/python
	@echo "installing torch; on Linux a build with CUDA downloads several gigabytes, see README for the CPU build"
	@$(PIP_INSTALL) torch
	@touch $@

# One stamp for each extra of pyproject.toml: a second call installs nothing.
$(VENV)/.installed-%: pyproject.toml $(VENV)/.torch
	@echo "installing skmulti[$*]"
	@$(PIP_INSTALL) -e ".[$*]"
	@touch $@

.PRECIOUS: $(VENV)/.installed-%
