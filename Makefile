# Two commands are all a newcomer needs: `make demo` and `make test`. Everything else is for those who build it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-unit test-e2e test-e2e-quick test-integration test-faults test-kill infra-up infra-down lint format types lock bench bench-quick clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it with: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

setup: $(STAMP) ## create .venv with everything that is needed (does nothing when it is up to date)

demo: setup ## start the platform with demo data and live events
	$(BIN)/python -m de_platform demo

test: setup ## run all tests that need nothing but this repository
	$(PYTEST) -m "not real_infra" -n $(WORKERS) --dist loadgroup

test-unit: setup ## run the tests beside the code
	$(PYTEST) de_platform -n $(WORKERS)

test-e2e: setup ## run the scenarios through the whole pipeline: in memory, embedded, and on real engines
	$(PYTEST) tests/e2e -n $(WORKERS) --dist loadgroup

test-e2e-quick: setup ## the same, stopping at the first failure
	$(PYTEST) tests/e2e -x

test-integration: setup ## run the tests against real engines, which are fetched and started as needed
	$(PYTEST) -m "real_infra and not faults" -n $(WORKERS) --dist loadgroup

test-faults: setup ## take each real engine away for FAULT_SECONDS (default 60)
	$(PYTEST) tests/e2e/test_engine_faults.py --fault-seconds $(or $(FAULT_SECONDS),60)

infra-up: setup ## start real engines on this machine and leave them running; prints their settings
	@scripts/infra up

infra-down: ## stop them; their data stays in .infra
	@$(PYTHON) scripts/infra down

test-kill: setup ## kill -9 the running platform KILLS times (default 40) and balance the books
	$(PYTEST) tests/e2e/test_kill.py --kills $(or $(KILLS),40)

lint: setup ## style, import direction, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

format: setup ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: setup ## resolve the dependencies of pyproject.toml anew
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes \
		--no-emit-index-url --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra server --generate-hashes \
		--overrides deploy/server.overrides --constraints requirements.lock \
		--no-emit-index-url --no-header pyproject.toml -o deploy/server.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header deploy/build.in -o deploy/build.lock

bench: setup ## measure against peers and ceilings (minutes)
	$(BIN)/python -m benchmarks

bench-quick: setup ## measure the hot stages (under a minute)
	$(BIN)/python -m benchmarks --quick

clean: infra-down ## remove the environment, caches, engines and demo data
	rm -rf $(VENV) .demo .infra .cache/infra .pytest_cache .ruff_cache .hypothesis reports
