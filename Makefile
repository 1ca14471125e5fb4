# otrace's everyday commands; `make` alone lists them. Needs make, a C compiler and Python 3.11+.

PYTHON ?= $(shell .ci/pick-python)
VENV ?= .venv
BUILD ?= build
CC ?= cc
PYTEST_ARGS ?=

# The tests in tests/services need a browser and a Jaeger. 1 installs the Python side of them, and
# makes a missing service a failure instead of a skip.
OTRACE_REQUIRE_SERVICES ?= 0
export OTRACE_REQUIRE_SERVICES

SOURCES := $(shell find otrace exporters native -name '*.py' -o -name '*.[ch]' -o -name '*.pth' 2>/dev/null)
C_FILES := $(shell find native tests/native -name '*.[ch]' 2>/dev/null)
INSTALLED := $(VENV)/.installed
INSTALLED_SERVICES := $(VENV)/.installed-services
INSTALLED_LINT := $(VENV)-lint/.installed
ifeq ($(OTRACE_REQUIRE_SERVICES),1)
TEST_NEEDS := $(INSTALLED) $(INSTALLED_SERVICES)
else
TEST_NEEDS := $(INSTALLED)
endif

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-python test-native fuzz check-arm64 test-dist lint format bench clean
.DELETE_ON_ERROR:

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## make .venv, with otrace and what its tests need

demo: $(INSTALLED) ## trace an example, and leave a timeline in demo.json
	$(VENV)/bin/otrace run -o demo.json examples/script/app.py

test: ## run every test this machine can run
	@if command -v $(CC) >/dev/null 2>&1; then $(MAKE) --no-print-directory test-native; \
	else echo "no C compiler ($(CC)): the native tests are left out"; fi
	@$(MAKE) --no-print-directory test-python

# Not from here: Python would find the sources in the current folder before what is installed.
test-python: $(TEST_NEEDS) ## run the tests of Python and of whole programs
	cd tests && $(abspath $(VENV))/bin/pytest . $(PYTEST_ARGS)

bench: $(INSTALLED) ## measure otrace against its peers (minutes)
	$(VENV)/bin/python -m pip install --quiet -r benchmarks/requirements.txt
	$(VENV)/bin/python benchmarks/run.py $(BENCH_ARGS)

lint: $(INSTALLED_LINT) ## check style and types
	@failed=; check() { echo "$$@" | cut -c 1-70; "$$@" || failed="$$failed $$(basename "$$1")"; }; \
	check $(VENV)-lint/bin/ruff check . --output-format concise; \
	check $(VENV)-lint/bin/ruff format --check .; \
	check $(VENV)-lint/bin/mypy; \
	check $(VENV)-lint/bin/clang-format --dry-run -Werror $(C_FILES); \
	[ -z "$$failed" ] || { echo "lint: these complain:$$failed" >&2; exit 1; }

format: $(INSTALLED_LINT) ## put Python and C into the house style
	$(VENV)-lint/bin/ruff check --fix-only .
	$(VENV)-lint/bin/ruff format .
	$(VENV)-lint/bin/clang-format -i $(C_FILES)

test-dist: $(INSTALLED) ## build sdist and wheel, and try each in a clean environment
	$(VENV)/bin/python -m pip install --quiet build
	.ci/test-dist $(VENV)/bin/python

clean: ## remove what the commands above made here
	rm -rf build dist *.egg-info $(BUILD)/native $(VENV) $(VENV)-lint demo.json

# Environments. A plain install, as users have it: an editable one would not install the start-up
# hook. What an earlier build left would be packed again, so it goes first.
CLEAN_BUILD = rm -rf build/lib* build/temp* build/bdist*

$(VENV)/bin/python:
	@echo "$(PYTHON) -m venv $(VENV)"; $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "no virtual environment could be made: apt-get install python3-venv?" >&2; exit 1; }

$(INSTALLED): $(VENV)/bin/python pyproject.toml $(SOURCES)
	@$(CLEAN_BUILD)
	$(VENV)/bin/python -m pip install --quiet '.[test]'
	@touch $@

$(INSTALLED_SERVICES): $(INSTALLED) tests/services/requirements.txt
	$(VENV)/bin/python -m pip install --quiet -r tests/services/requirements.txt
	@touch $@

# Lint needs the types of the dependencies, and tools that the tests do not.
$(INSTALLED_LINT): pyproject.toml
	$(PYTHON) -m venv $(VENV)-lint
	@$(CLEAN_BUILD)
	$(VENV)-lint/bin/python -m pip install --quiet '.[test,lint]'
	@touch $@

include .ci/native.mk
