# `make demo` and `make test` are all that a newcomer needs; each sets up what it needs first.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test test-slurm test-power lint format bench release-crate pins clean

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## Make .venv with everything that the workflow needs

demo: .venv/.ready ## Run the whole workflow on simulated data, in demo/, and show what was made
	$(BIN)/snakemake --config results=demo source=sample
	$(BIN)/python -m skymill.summary demo

# A test may run the whole workflow: more than four at a time need much memory.
test: .venv/.ready-dev ## Run all tests (8 minutes on two cores)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-slurm: .venv/.ready-dev ## Run the workflow on a SLURM of its own (as root on Debian)
	tests/slurm/install.sh
	$(BIN)/python -m pytest tests/slurm

CUTS ?= 20
test-power: .venv/.ready-dev ## Cut the power of runs, on a file system in a file (as root on Linux)
	SKYMILL_POWER_CUTS=$(CUTS) $(BIN)/python -m pytest tests/power

lint: .venv/.ready-dev ## Check style: Python, Snakemake, workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint

format: .venv/.ready-dev ## Format Python and Snakemake files
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt workflow

bench: .venv/.ready-dev ## Measure the speed claims (half an hour)
	$(BIN)/python benchmarks/bench.py

release-crate: .venv/.ready ## Describe this release as a Workflow RO-Crate, in ro-crate-metadata.json
	$(BIN)/python -m skymill.release_crate

pins: ## Resolve the pinned requirements anew (needs uv)
	cd envs && for name in requirements requirements-dev; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate $$name.in --output-file $$name.txt || exit 1; \
	done

clean: ## Delete .venv; results stay
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Skymill needs Python 3.11 or newer: make PYTHON=python3.12 ...' >&2; exit 1; }
	$(PYTHON) -m venv .venv

# The hashes make pip refuse anything but the very files that were resolved.
.venv/.ready: envs/requirements.txt pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement envs/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --no-build-isolation --editable .
	touch $@

.venv/.ready-dev: envs/requirements-dev.txt .venv/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement envs/requirements-dev.txt
	touch $@
