# Every target with one line each: make
.DEFAULT_GOAL := help
PYTHON ?= python3
PORT ?= 8000
BENCH ?=
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
READY_TO_TEST := $(VENV)/.ready-to-test
PACKAGES := bot console api handlers scheduler outreach tagging loyalty insight people storage wecom sandbox

help:  ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "wecom-scrm needs Python 3.11 or newer; say make PYTHON=python3.12")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what wecom-scrm needs into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(READY_TO_TEST): requirements-test.lock $(READY)
	@echo "installing what its tests need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	@touch $@

setup: $(READY_TO_TEST)  ## Build .venv with everything, tests included

demo: $(READY)  ## A whole shop with a simulated WeCom; prints one address to open (PORT=8000)
	@$(BIN)/scrm --log-level WARNING demo --port $(PORT)

story: $(READY)  ## The same shop as a fixed story, checked against its promises
	@$(BIN)/scrm --log-level ERROR demo --story

serve: $(READY)  ## Run the product with config.toml
	@$(BIN)/scrm serve

test: $(READY_TO_TEST)  ## Run the whole test suite (JOBS=2 at once)
	@$(BIN)/python -m pytest -n $(JOBS)

format: $(READY_TO_TEST)  ## Bring the code into form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lint: $(READY_TO_TEST)  ## Form, lint, types, import floors, security lint
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy $(PACKAGES)
	@$(BIN)/lint-imports
	@$(BIN)/bandit --quiet --severity-level medium --recursive $(PACKAGES)

check: lint test  ## All that CI runs

bench: $(READY_TO_TEST)  ## The benchmarks (BENCH=callback for one)
	@$(BIN)/python -m benchmarks $(BENCH)

soak: $(READY_TO_TEST)  ## The long fault runs, seeded
	@$(BIN)/python -m soak

lock:  ## Pin every dependency anew, with hashes (needs uv)
	@uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml -o requirements.lock
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra test -c requirements.lock pyproject.toml -o requirements-test.lock

clean:  ## Remove what was built
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: help setup demo story serve test format lint check bench soak lock clean
