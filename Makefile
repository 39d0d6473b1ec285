# The commands of this project; `make` alone lists them. Works with GNU make 3.81 (macOS) and newer.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install test demo check format bench bench-full services services-stop lock clean

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Beside, not among the rest: what ours is measured against holds back versions that ours runs on.
BENCH := $(VENV)/bench
BENCH_INSTALLED := $(BENCH)/.installed

# PYTHON=/path/to/python picks an interpreter; otherwise the first of these that the locked packages are tested with.
PYTHON ?=
CANDIDATES := python3 python3.13 python3.12 python3.11
TESTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv from the locked requirements (test and demo do it by themselves)

# Everything goes to standard error, so that `make bench` prints nothing but its results.
$(INSTALLED): pyproject.toml requirements/dev.txt requirements/build.txt
	@{ \
	python='$(PYTHON)'; \
	for candidate in $(CANDIDATES); do \
	  [ -z "$$python" ] && $$candidate -c '$(TESTED)' 2>/dev/null && python=$$candidate; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Python 3.11, 3.12 or 3.13 is needed, and python3 is $$(python3 --version 2>&1): install one," \
	    "or name it with  make PYTHON=/path/to/python $(MAKECMDGOALS)"; exit 1; \
	fi; \
	set -e; \
	$(BIN)/python -c '$(TESTED)' 2>/dev/null || { rm -rf $(VENV); $$python -m venv $(VENV); }; \
	echo "installing the locked requirements into $(VENV) ($$($(BIN)/python --version))"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	  -r requirements/build.txt -r requirements/dev.txt; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	$(BIN)/python -m compileall -q connectors detectors service || true; \
	touch $@; \
	} >&2

test: $(INSTALLED) ## run the tests; those that need a Kafka, Redis or PostgreSQL say so and are skipped
	$(BIN)/python -m pytest

demo: $(INSTALLED) ## start everything on this machine and watch it find planted incidents
	@$(BIN)/spendwatch demo

check: $(INSTALLED) ## format, lint, types, imports, tests: what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

format: $(INSTALLED) ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(BENCH_INSTALLED): $(INSTALLED) requirements/bench.txt
	@{ \
	set -e; \
	rm -rf $(BENCH); $(BIN)/python -m venv $(BENCH); \
	echo "installing what to measure against into $(BENCH)"; \
	$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt; \
	touch $@; \
	} >&2

bench: $(BENCH_INSTALLED) ## measure ours and its peers on a Kafka of its own; one JSON object a line
	@$(BENCH)/bin/python -m benchmarks

bench-full: $(BENCH_INSTALLED) ## the long form: larger counts, a million series
	@$(BENCH)/bin/python -m benchmarks --full

services: ## start a real Kafka, Redis and PostgreSQL for the tests:  eval "$(make services)"
	@scripts/services start

services-stop: ## end them and remove their data
	@scripts/services stop

lock: $(INSTALLED) ## write requirements/*.txt again; UPGRADE=1 takes newer versions
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/lock $(if $(UPGRADE),--upgrade)

clean: services-stop ## remove everything that was made here, the environment and Kafka's jars too
	rm -rf $(VENV) .services .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
