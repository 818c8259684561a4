# Everything a developer does here. `make demo` and `make test` need Python 3.10+ and make; `make test-site`
# needs a bench, `make test-desk` a site of one and Chromium.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: translations demo test test-site test-upgrade test-desk chaos fuzz benchmark reference lint format clean

demo: $(INSTALLED)
	@$(BIN)/integration-hub demo

test: lint
	@$(BIN)/python -m pytest

# Five minutes of faults: make chaos CHAOS='--minutes 1 --seed 7', or --bench PATH.
chaos: $(INSTALLED)
	@$(BIN)/python -m chaos $(CHAOS)

# Fuzzing led by coverage: make fuzz FUZZ='--seconds 600 paths'.
fuzz: $(INSTALLED)
	@$(BIN)/python -c "import atheris" 2>/dev/null || $(BIN)/python -m pip install -q --disable-pip-version-check -e '.[fuzz]'
	@$(BIN)/python -m fuzz $(FUZZ)

# What it costs: make benchmark BENCHMARK='--quick', or the names of some. On a site: FRAPPE_BENCH=PATH SITE=NAME.
benchmark: $(INSTALLED)
	@$(BIN)/python -m benchmarks $(BENCHMARK)

# The tables of docs/reference.md, made from the doctypes' JSON.
reference: $(INSTALLED)
	@$(BIN)/python -m scripts.reference

# The CSV files of integration_hub/translations, made from the .po files.
translations: $(INSTALLED)
	@$(BIN)/python -m scripts.translations

test-site:
	@$(PYTHON) -m scripts.test_site

# Data made by the first release survives `bench migrate` to this one; part of `make test-site`.
test-upgrade:
	@$(PYTHON) -m scripts.test_upgrade

# FRAPPE_BENCH=path SITE=name make test-desk
test-desk: $(INSTALLED)
	@$(BIN)/python -c "import playwright" 2>/dev/null || $(BIN)/python -m pip install -q --disable-pip-version-check -e '.[desk]'
	@$(BIN)/python -m pytest tests_desk

lint: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@said=$$($(BIN)/lint-imports 2>&1) || { echo "$$said"; exit 1; }
	@$(BIN)/python scripts/check_app.py

format: $(INSTALLED)
	@$(BIN)/ruff check --fix -q .
	@$(BIN)/ruff format -q .

$(INSTALLED): pyproject.toml
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (once)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
