# Every target makes its own .venv first and is quick the second time.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test check conformance bench clean

help:  ## show the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): pyproject.toml
	@echo "==> making .venv and installing insightlog with its tools (a minute, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## demo data and a server at http://127.0.0.1:8000
	@$(BIN)/insightlog demo --data demo-data
	@$(BIN)/insightlog serve --data demo-data --host 127.0.0.1 --port 8000

test: $(STAMP)  ## all tests, recorded conformance cases included
	@echo "==> tests"
	@$(BIN)/python -m pytest -n auto

check: $(STAMP)  ## lint, formatting, types, import rules
	@echo "==> ruff";         $(BIN)/ruff check .
	@echo "==> ruff format";  $(BIN)/ruff format --check .
	@echo "==> mypy";         $(BIN)/mypy
	@echo "==> import rules"; PYTHONPATH=.typing $(BIN)/lint-imports

conformance: $(STAMP)  ## recorded cases: passed and total per area
	@$(BIN)/python tests/conformance/run.py
	@echo "==> over HTTP"; $(BIN)/python tests/conformance/run_http.py

bench: $(STAMP)  ## figures beside their raw ceilings
	@$(BIN)/python benchmarks/run.py

clean:  ## remove .venv and caches
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info build
