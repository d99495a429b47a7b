# Everything starts here: `make help`.

.DEFAULT_GOAL := help
.PHONY: help setup lock docs demo up scale test guards check bench dev prod down logs logs-api logs-worker ps clean

BIN := .venv/bin
WORKERS ?= 2
TESTERS ?= 3
SOURCES := app worker tests tools benchmarks

# The first Python that is new enough. `make PYTHON=/path/to/python3.12` names another.
PYTHON ?= $(shell for one in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$one -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$one && break; done)

# The compose stack that down, logs and ps speak of: dev or prod; prod if it runs.
STACK ?= $(if $(shell $(call containers,headrace-prod)),prod,dev)
COMPOSE = docker compose -f docker-compose.$(STACK).yml
containers = docker ps -q --filter label=com.docker.compose.project=$(1) 2>/dev/null

help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Create .venv from the lock; the second time it takes a moment
	@test -n "$(PYTHON)" || { echo "Headrace needs Python 3.11 or newer: make PYTHON=/path/to/it" >&2; exit 1; }
	@$(PYTHON) tools/setup.py

lock: setup ## Resolve pyproject.toml anew into requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header -q -o requirements.lock

docs: setup ## Write the generated parts of docs/ anew
	$(BIN)/python tools/docs.py

demo: setup ## Run the seven samples through two workers, on an embedded stack
	@$(BIN)/headrace demo

up: setup ## Run the whole stack here, without Docker, until Ctrl-C
	@$(BIN)/headrace up

scale: setup ## Set the number of worker processes: make scale WORKERS=5
	@if [ -n "$$($(call containers,headrace-prod))$$($(call containers,headrace-dev))" ]; then \
		$(COMPOSE) up -d --no-recreate --scale worker=$(WORKERS) worker; \
	else $(BIN)/headrace scale $(WORKERS); fi

test: setup ## Run every test, in three processes: make test TESTERS=2
	$(BIN)/pytest -n $(TESTERS) --dist loadscope

guards: setup ## Take each guard out of a copy of the code: a test must turn red
	$(BIN)/python tools/guards.py

check: setup ## Check format, lint, types and the import contracts
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/mypy tools
	MYPYPATH=app:worker:. $(BIN)/mypy -p benchmarks
	$(BIN)/lint-imports

dev: ## Run the development stack in Docker, with reload
	docker compose -f docker-compose.dev.yml up --build -d

prod: ## Run the production stack in Docker; its secrets are in .env
	docker compose -f docker-compose.prod.yml up --build -d --scale worker=$(WORKERS)

down: ## Stop the compose stack; its data stays
	$(COMPOSE) down

logs: ## Follow the logs of the compose stack
	$(COMPOSE) logs -f --tail 100

logs-api: ## Follow the API's logs
	$(COMPOSE) logs -f --tail 100 api

logs-worker: ## Follow the workers' logs
	$(COMPOSE) logs -f --tail 100 worker

ps: ## Show the containers of the compose stack
	@$(COMPOSE) ps

bench: setup ## Measure Headrace beside its peers: make bench BENCH="--quick"
	@$(BIN)/python -m benchmarks $(BENCH)

clean: ## Remove .venv and caches; the data in .headrace stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage dist
