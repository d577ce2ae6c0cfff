# Newcomers need only `make demo` and `make test`. Each first installs its packages.
PYTHON ?= python3
BIN := .venv/bin

# pip and runs must not use packages from outside .venv.
unexport PYTHONPATH PYTHONHOME
# Without its caches Python compiles all modules and tests in each process anew.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONNOUSERSITE := 1
# pip reads and writes paths in the encoding of the locale.
export LC_ALL := C.UTF-8

.PHONY: help setup demo baseline verify prune test test-slurm test-power test-extra fuzz lint format bench \
  docs pictures release-check release-crate pins clean

help: ## Show all targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

setup: .venv/.ready ## Make .venv with all packages of the workflow

demo: .venv/.ready ## Run the whole workflow on simulated data, in demo/, and list its products
	$(BIN)/snakemake --config results=demo source=sample
	$(BIN)/skymill summary demo

RESULTS ?= data
baseline: .venv/.ready ## Score simple models under each kind of split (RESULTS=demo: the demo)
	$(BIN)/snakemake $(if $(filter demo,$(RESULTS)),--config results=demo source=sample --) baseline
	@echo "The table is processed/baseline/baseline.md in the results folder."

verify: .venv/.ready ## Compare all files with their checksums (RESULTS=demo: another folder)
	$(BIN)/skymill verify $(RESULTS)

prune: .venv/.ready ## List products of an earlier configuration (RESULTS=demo: another folder)
	$(BIN)/skymill prune $(RESULTS)

# Some tests run the whole workflow, so more than four tests at a time need a lot of memory.
test: .venv/.ready-dev ## Run all tests (four to nine minutes on two cores)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

test-slurm: .venv/.ready-dev ## Start a SLURM and run the workflow on it (as root on Debian)
	tests/slurm/install.sh
	$(BIN)/python -m pytest tests/slurm

CUTS ?= 20
test-power: .venv/.ready-dev ## Cut the power of runs, on a file system in a file (as root on Linux)
	SKYMILL_POWER_CUTS=$(CUTS) $(BIN)/python -m pytest tests/power

# Longer tests with libraries that conflict with the project's environment.
test-extra: .venv/.ready-dev ## Try aeon, envs/*.yaml, and object storage with all branches (15 minutes)
	test -x .venv-aeon/bin/python || $(PYTHON) -m venv .venv-aeon
	.venv-aeon/bin/python -m pip install --quiet --disable-pip-version-check \
	  --requirement tests/extra/requirements-aeon.txt
	SKYMILL_AEON=$(CURDIR)/.venv-aeon SKYMILL_EXTRA=1 $(BIN)/python -m pytest tests/extra \
	  tests/workflow/test_object_storage.py

SECONDS ?= 600
SEED ?= $(shell date +%s)
fuzz: .venv/.ready-dev ## Read damaged input with every reader (SECONDS=600 SEED=...)
	$(BIN)/python tests/fuzz/campaign.py --seconds $(SECONDS) --seed $(SEED)

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

docs: .venv/.ready-dev ## Build the documentation, in build/site, and check its links
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# The figure shows simulated data. The graph needs graphviz.
pictures: .venv/.ready demo ## Draw the pictures of the documentation, in docs/images
	$(BIN)/snakemake --config results=demo source=sample --rulegraph | docs/site/rulegraph.py \
	  | tred | dot -Tsvg > docs/images/rulegraph.svg
	cp demo/processed/aligned/pair.png docs/images/pair.png

release-check: .venv/.ready-dev ## Check that version, date and citation agree before a release
	$(BIN)/python -m pytest -q tests/unit/test_release.py

release-crate: .venv/.ready ## Describe this release as a Workflow RO-Crate, in ro-crate-metadata.json
	$(BIN)/python -m skymill.release_crate

pins: ## Resolve the pinned requirements again (needs uv)
	cd envs && for name in requirements requirements-dev; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --no-annotate $$name.in --output-file $$name.txt || exit 1; \
	done

clean: ## Delete .venv; results stay
	rm -rf .venv .venv-aeon

.venv/bin/pip:
	@$(PYTHON) envs/make_venv.py .venv

# With hashes, pip refuses all files except the files that were resolved. pip would compile the modules
# on one core. As with pip, a module that cannot be compiled is no error.
.venv/.ready: envs/requirements.txt pyproject.toml envs/relative_path.py | .venv/bin/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-compile \
	  --requirement envs/requirements.txt
	@$(BIN)/python -m compileall -q --workers 0 -x '/tests/' .venv/lib >/dev/null || true
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --no-build-isolation --editable .
	$(BIN)/python envs/relative_path.py
	@touch $@

.venv/.ready-dev: envs/requirements-dev.txt .venv/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  --requirement envs/requirements-dev.txt
	touch $@
