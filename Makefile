# convnet-arena. `make run` and `make test` install what they need by themselves.

PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
export PORT

.DEFAULT_GOAL := help
.PHONY: help run stop test check bench pictures clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'

run: $(VENV)/installed ## Start the dashboard and the supervisor (PORT=8501)
	@$(BIN)/python -m dashboard --port $(PORT)

stop: $(VENV)/installed ## Stop every job, the supervisor and the MLflow UI
	@$(BIN)/python -m jobs shutdown

test: $(VENV)/installed-dev ## Install what tests need, a browser included, and run all tests
	@sh tests/browser/require_chromium.sh
	@sh tests/slurm/require_slurm.sh
	@sh tests/team/require_postgresql.sh
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/installed-dev ## Lint, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed ## Measure speed side by side with plain loops (minutes; see benchmarks/README.md)
	$(BIN)/python -m benchmarks

pictures: $(VENV)/installed-dev ## Take the README's pictures from the running program
	@sh tests/browser/require_chromium.sh
	$(BIN)/python -m docs.take_pictures

clean: ## Remove the virtual environment and caches; runs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "convnet-arena needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is missing; on Debian: apt install python3-venv" >&2; rm -rf $(VENV); exit 2; }

$(VENV)/installed: requirements.txt constraints.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing requirements into $(VENV) (once; about 6 GB with CUDA's libraries) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $@
