PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo demo-once dev test test-all check fix docs lock coverage bench screenshots

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Make .venv and install everything into it

$(INSTALLED): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Agnes needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "Python cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) (about a minute the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(INSTALLED) ## Run the demo company: everything, from files to an answered query
	@DATA_DIR="$${DATA_DIR:-$(CURDIR)/data/demo}" $(BIN)/python manage.py demo

demo-once: $(INSTALLED) ## Tell the story of the demo once and stop; fails if anything did not hold
	@DATA_DIR="$${DATA_DIR:-$(CURDIR)/data/demo}" $(BIN)/python manage.py demo --once

dev: $(INSTALLED) ## Run web, worker and beat on the data in ./data
	@$(BIN)/python manage.py up

test: $(INSTALLED) ## Run the tests on SQLite
	@$(BIN)/python -m pytest -n auto --dist worksteal

test-all: $(INSTALLED) ## Run all tests, the slow ones too, on SQLite and on PostgreSQL with Redis
	@PYTEST="$(BIN)/python -m pytest" tests/run-all

check: $(INSTALLED) ## Lint, types, import contracts, migrations, examples, documents
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python -m pytest tests/architecture

fix: $(INSTALLED) ## Format, and mend what lint can mend by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(INSTALLED) ## Write docs/reference from the code and from the marks of the tests
	@$(BIN)/python manage.py write_reference
	@$(BIN)/python -m tests.hostile

lock: $(INSTALLED) ## Write requirements/*.txt from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/client.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra server -o requirements/server.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra server --extra dev -o requirements/dev.txt

coverage: $(INSTALLED) ## Run all tests, measured, and write docs/reference/coverage.md
	@$(BIN)/coverage erase
	@PYTEST="$(BIN)/coverage run -m pytest" tests/run-all
	@$(BIN)/coverage combine --quiet
	@$(BIN)/python -m tests.covered

bench: $(INSTALLED) ## Measure, and write docs/reference/performance.md
	@$(BIN)/python -m tests.bench

screenshots: $(INSTALLED) ## Render the pages of the README into docs/images
	@$(BIN)/python -m tests.browser.screenshots
