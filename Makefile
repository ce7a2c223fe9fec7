VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

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

test: check                       ## everything that must pass, under 15 minutes
	sh tests/services/install
	$(BIN)/python -W error -m pytest -m "not prove"

bench: $(VENV)/.installed-dev     ## ratios measured in one run, written to benchmarks/results.json
	sh tests/services/install
	$(BIN)/python -m benchmarks

prove: $(VENV)/.installed-dev     ## long proofs: ten access-log counts, ten minutes of memory, 10,000 odd requests
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
