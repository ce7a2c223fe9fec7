VENV ?= .venv
PYTHON ?= python3
PROCESSES ?= 3
BIN := $(VENV)/bin
TESTS = $(BIN)/python -W error -m pytest
# tests/dealing.py says which tests stay together; each process is as strict with warnings as this one would be.
DEALT = --dist loadscope --tx "$(PROCESSES)*popen//python=$(BIN)/python -W error"

.PHONY: demo test bench prove check docs services clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@

demo: $(VENV)/.installed          ## run a campaign against the bundled shop
	$(BIN)/qalipsis demo

check: $(VENV)/.installed-dev     ## linters and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# Hundreds of processes load the same modules: compiled once, even where the environment forbids to keep that.
test: export PYTHONDONTWRITEBYTECODE =
test: check                       ## everything that must pass, under 15 minutes
	sh tests/services/install
	$(TESTS) -m "not prove and not alone" $(DEALT) && dealt=passed || dealt=failed; \
	$(TESTS) -m "alone and not prove" && test $$dealt = passed || { echo "Tests failed: see above."; exit 1; }

bench: $(VENV)/.installed-dev     ## ratios measured in one run, written to benchmarks/results.json
	sh tests/services/install
	$(BIN)/python -m benchmarks

prove: $(VENV)/.installed-dev     ## long proofs: ten access-log counts, ten minutes of memory, 10,000 odd requests, each fault 20 times
	sh tests/services/install
	$(BIN)/python -m pytest -m prove -s --timeout 3600

docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/.installed-dev      ## the documentation as a site, in build/site
	$(BIN)/mkdocs build

services: $(VENV)/.installed-dev  ## the services of the tests for work by hand, until Ctrl-C
	sh tests/services/install
	$(BIN)/python -m tests.services

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache reports
