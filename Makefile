# Every target sets itself up: a virtual environment in .venv, installed from hash-pinned requirements.
# It needs Python >= 3.11, make, and the package index that your pip is configured for.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
FUZZ_EXAMPLES ?= 2000
# Many tests wait for a server, so one process more than there are CPUs.
WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
# One process for each cluster that the tests start: more of them would wait for each other's.
CLUSTER_WORKERS ?= 2
FUZZED := tests/unit/inspection/test_hostile_files.py tests/unit/pictures/test_fuzzed_pictures.py
SOURCES := serving predictor transformer edge inspection load rollout cli zoo bench scripts tools tests charts

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: serve
serve: $(VENV)/.serve ## Serve three demo models: REST on 8080, gRPC on 8081 (ARGS="--http-port 0 my-model-dir" changes it)
	@$(BIN)/kserve-vision serve $(ARGS)

.PHONY: test
test: $(VENV)/.dev ## Run the tests (ARGS="tests/unit -k decode" picks some, WORKERS=0 runs them in one process)
	@$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=loadfile $(ARGS)

.PHONY: test-cluster
test-cluster: cluster-tools ## Run the tests on a real API server with KServe (ARGS="-k canary" picks some)
	@$(BIN)/python -m pytest tests/cluster --numprocesses=$(CLUSTER_WORKERS) --dist=loadgroup $(ARGS)

.PHONY: cluster-tools
cluster-tools: $(VENV)/.dev ## Build what test-cluster runs, once, into the user's cache (Go; about ten minutes on two cores)
	@$(BIN)/python -m tools $(TOOLS)

.PHONY: test-fuzz
test-fuzz: $(VENV)/.dev ## Run the fuzzed tests with many examples (FUZZ_EXAMPLES=2000 of each)
	@FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest $(FUZZED) $(ARGS)

.PHONY: images
images: $(VENV)/.dev ## Build the container images (ARGS="--accelerator gpu predictor", ARGS="--base IMAGE")
	@$(BIN)/python scripts/build_images.py $(ARGS)

.PHONY: test-images
test-images: $(VENV)/.images ## Build the images on a base of this machine's own, and test them as containers (root, podman)
	@$(BIN)/python scripts/build_images.py --base=stand-in --tag=test
	@$(BIN)/python -m pytest -m images tests/images $(ARGS)

.PHONY: test-node
test-node: $(VENV)/.node ## Run a whole Kubernetes node with the images on it, and test them there (root, podman, runc, nft; Go)
	@$(BIN)/python -m tools cluster node
	@$(BIN)/python scripts/build_images.py --base=stand-in --tag=test predictor transformer storage-initializer
	@$(BIN)/python -m tests.node $(ARGS)

.PHONY: bench
bench: $(VENV)/.dev ## Measure the served path against the in-process limit, and write bench/out/latest.json
	@$(BIN)/python -m bench $(ARGS)

.PHONY: lint
lint: $(VENV)/.dev ## Check style, types and the layers
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/generate_reference.py --check
	@$(BIN)/python scripts/generate_chart_tables.py --check

.PHONY: format
format: $(VENV)/.dev ## Format the code, and mend what can be mended
	@$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

.PHONY: docs
docs: $(VENV)/.dev ## Write docs/reference from the code
	@$(BIN)/python scripts/generate_reference.py
	@$(BIN)/python scripts/generate_chart_tables.py

.PHONY: requirements
requirements: $(VENV)/.dev ## Compile requirements/*.txt anew from pyproject.toml
	@$(BIN)/python scripts/compile_requirements.py

.PHONY: clean
clean: ## Remove the virtual environment and everything that was generated
	@rm -rf $(VENV) build dist bench/out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "kserve-vision needs Python 3.11, 3.12 or 3.13; make PYTHON=... names one")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: requirements/predictor-cpu.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "installing the servers into $(VENV), once (about a minute) ..."
	@$(PIP) install --quiet --require-hashes -r requirements/predictor-cpu.txt -r requirements/build.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

# The development requirements hold the servers' too, in the same versions.
$(VENV)/.dev: requirements/dev.txt requirements/build.txt pyproject.toml | $(BIN)/python
	@echo "installing the servers and the development tools into $(VENV), once (about a minute) ..."
	@$(PIP) install --quiet --require-hashes -r requirements/dev.txt -r requirements/build.txt
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.serve

$(VENV)/.images: requirements/image-tests.txt $(VENV)/.dev
	@$(PIP) install --quiet --require-hashes -r requirements/image-tests.txt
	@touch $@

$(VENV)/.node: requirements/node-tests.txt $(VENV)/.dev
	@$(PIP) install --quiet --require-hashes -r requirements/node-tests.txt
	@touch $@
