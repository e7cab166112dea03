# Chuangwen 创文: everything a developer or a visitor does, by name. Needs Python 3.11+ and make; the rest installs itself.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.DELETE_ON_ERROR:

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
RUN := $(BIN)/python -m
READY := .venv/.ready
SEEDS ?= 20
REQUESTS ?= 100000
REPLAY ?= $(firstword $(wildcard deploy/sample/replay/*.csv))

.PHONY: help
help: ## what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

# ---- the local stack ----

.PHONY: up down status logs reset doctor token
up: $(READY) ## start everything on this machine, load the sample district, print the addresses
	@$(RUN) deploy.local up

down: $(READY) ## stop everything; the data stay
	@$(RUN) deploy.local down

status: $(READY) ## what runs, and where
	@$(RUN) deploy.local status

logs: ## the logs; S=reports for one of them
	@tail -n 100 $$(test -t 1 && echo -F) $(if $(S),.local/logs/$(S).log,.local/logs/*.log)

reset: $(READY) ## stop everything and remove its data
	@$(RUN) deploy.local reset

doctor: $(READY) ## whether this machine has what is needed
	@$(RUN) deploy.local doctor

token: $(READY) ## make -s token ROLE=officer UNIT=<code> [SUBJECT=<id>]: a token for the local stack
	@$(RUN) deploy.local token --role "$(or $(ROLE),citizen)" --unit "$(UNIT)" --subject "$(SUBJECT)"

# ---- an operator's commands, on the local stack as it runs; elsewhere the environment says where ----

.PHONY: dlq rebuild export verify-rebuild
dlq: $(READY) ## what could not be handled: ARGS="list --service scoring", show, replay, drop
	@$(RUN) deploy.local run shared.dlq $(or $(ARGS),--help)

rebuild: $(READY) ## build the portal's read model anew beside the live one; S=<service> MODEL=<model>
	@$(RUN) deploy.local run services.$(or $(S),portal) rebuild $(or $(MODEL),board)

export: $(READY) ## a month as a file that anybody can verify: ARGS="--period 2026-11 --out month.jsonl"
	@$(RUN) deploy.local run services.scoring export $(or $(ARGS),--help)

verify-rebuild: $(READY) ## post all ledgers anew from the first event and compare them
	@$(RUN) deploy.local run services.scoring verify-rebuild $(ARGS)

.PHONY: demo
demo: up ## replay sample days of a district at high speed against the running stack
	@$(RUN) deploy.replay $(REPLAY)

# ---- checks ----

.PHONY: lint docs format test test-chart test-alerts test-image fuzz chaos chaos-cluster bench scale
lint: $(READY) ## style, types, import rules, dependencies
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry .

docs: $(READY) ## renew the pages of docs/ that are made from the code
	@$(RUN) tests.rules.pages

format: $(READY) ## put the code into its form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

test: $(READY) ## all tests, on real servers
	@$(RUN) deploy.local prepare
	@$(RUN) pytest tests --ignore tests/e2e --ignore tests/chaos --ignore tests/image --numprocesses auto --maxprocesses 4 --dist loadfile
	@$(RUN) pytest tests/e2e tests/chaos

test-chart: $(READY) ## the chart alone: both Helms, schemas, policies, refusals (seconds)
	@$(RUN) pytest tests/chart

fuzz: $(READY) ## ask every service for anything in every role and look for faults; REQUESTS=100000
	@$(RUN) tests.fuzz --requests $(REQUESTS)

test-alerts: $(READY) ## cause every fault and see its alert go off in a real Prometheus (minutes)
	@$(RUN) tests.alerts

test-image: $(READY) ## build the image and run it without any right, as a cluster does (minutes; root on Debian)
	@$(RUN) pytest tests/image

chaos: $(READY) ## crash servers and services under load and count what was lost; SEEDS=20
	@$(RUN) tests.chaos --seeds $(SEEDS)

chaos-cluster: $(READY) ## the same on three databases and three brokers, through outages, cuts, updates and wrong clocks
	@$(RUN) tests.chaos --cluster --seeds $(SEEDS)

bench: $(READY) ## how fast this machine is
	@$(RUN) tests.load.bench

scale: $(READY) ## whether lists, queues and exports stay fast with a million cases; WORKERS=1: one, two and four workers
	@$(RUN) tests.load.scale $(if $(WORKERS),--workers)

# ---- dependencies: named in pyproject.toml, explained in docs/dependencies.md, locked with hashes for every platform ----

# The locks name no address, whatever index or folder this machine fetches from.
COMPILE := env -u PIP_FIND_LINKS -u UV_FIND_LINKS $(BIN)/uv pip compile pyproject.toml --quiet --universal \
	--python-version 3.11 --generate-hashes --no-header --no-emit-index-url $(if $(UPGRADE),--upgrade)

.PHONY: lock
lock: $(READY) ## renew both locks after a change of pyproject.toml; UPGRADE=1: everything to its newest version
	@$(COMPILE) --output-file requirements.lock
	@$(COMPILE) --group dev --output-file requirements-dev.lock

# ---- the virtual environment, exactly as locked ----

$(READY): requirements-dev.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or say which: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/pip || { echo "Creating .venv with $(PYTHON) ..." >&2; $(PYTHON) -m venv .venv; } || \
		{ echo "$(PYTHON) cannot make virtual environments: on Debian or Ubuntu, apt-get install python3-venv." >&2; exit 1; }
	@echo "Installing the locked requirements into .venv ..." >&2
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock >&2
	@touch $@
