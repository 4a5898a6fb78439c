# Easel on one machine. `make help` tells what there is; each target installs what it needs first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python
# Enough for Django to read its settings where no service is needed.
NOWHERE := EASEL_SECRET_KEY=unused EASEL_PROCESS=manage

.DEFAULT_GOAL := help
.PHONY: help up down status reset test soak check style types imports migrations openapi bench load chaos screenshots starter deploytools site install install-dev
.NOTPARALLEL:

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16
	@echo
	@echo "  PORT=8000       the API and the console; staff is on the next one"
	@echo "  BIND=127.0.0.1  0.0.0.0 shows the API and the console to other machines"
	@echo "  EASEL_VAR=var   the folder for data, secrets and logs"
	@echo "  DETACH=1        up returns after the first picture and leaves Easel running"

up: install ## Start everything, draw a first picture, stay until Ctrl-C
	@exec $(PY) -m easel.embedded up

down: ## Stop everything
	@test -x $(PY) || { echo "Easel is not running."; exit 0; }; exec $(PY) -m easel.embedded down

status: ## Which processes are alive
	@test -x $(PY) || { echo "Easel is not running."; exit 3; }; exec $(PY) -m easel.embedded status

reset: ## Delete all data, after asking
	@test -x $(PY) || { echo "There is nothing to delete."; exit 0; }; exec $(PY) -m easel.embedded reset

test: install-dev ## All tests, on real services that the suite starts itself
	@exec $(PY) -m pytest $(ARGS)

soak: install-dev ## The long tests: histories, made-up requests, 500 client calls on a bad network, half an hour of load
	EASEL_HISTORIES=$${EASEL_HISTORIES:-10000} $(PY) -m pytest --timeout=0 tests/billing/test_any_history.py $(ARGS)
	EASEL_FUZZ_CASES=$${EASEL_FUZZ_CASES:-10000} $(PY) -m pytest --timeout=0 tests/web/test_fuzzed.py $(ARGS)
	EASEL_CLIENT_CALLS=$${EASEL_CLIENT_CALLS:-500} $(PY) -m pytest --timeout=0 tests/sdk/test_bad_network.py $(ARGS)
	$(PY) -m benchmarks.soak --minutes $${EASEL_SOAK_MINUTES:-30} --write

check: style types imports migrations openapi ## Style, types, import rules, migrations, the API's description (make -k check: all of them, whatever fails)

style: install-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: install-dev
	$(NOWHERE) $(PY) -m mypy

imports: install-dev
	.venv/bin/lint-imports

migrations: install-dev
	$(NOWHERE) $(PY) manage.py makemigrations --check --dry-run
	$(NOWHERE) $(PY) manage.py check_migrations

openapi: install-dev
	$(NOWHERE) $(PY) manage.py openapi --check

bench: install-dev ## Measure what the project promises
	@exec $(PY) -m benchmarks $(ARGS)

load: install-dev ## How many customers this machine serves: a growing rate, up to the knee (ARGS="--tenants 5 --seconds 10")
	@exec $(PY) -m benchmarks.load $(ARGS)

chaos: install-dev ## Break things under load and prove that nothing is lost (ARGS="--faults 50 --jobs 500 --seed 1")
	@exec $(PY) -m tests.chaos $(ARGS)

screenshots: install-dev ## Every page of the console as a picture, into build/screenshots (ARGS="--only home")
	@exec $(PY) -m tests.screenshots $(ARGS)

starter: install-dev ## Train the starter model anew (hours; ARGS=--short: minutes)
	@exec $(PY) -m starter.make $(ARGS)

deploytools: install-dev ## helm, hadolint and docker-compose into build/, to check deploy/
	@exec $(PY) deploy/tools.py

site: install-dev ## The documents as a site, into build/site
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --quiet --strict

install:
	@test -n "$(PYTHON)" || { echo "easel: Easel needs Python 3.11. Debian 12: apt install python3.11 python3.11-venv. Elsewhere install it and name it: make up PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -I platform/easel/embedded/install.py up

install-dev:
	@test -n "$(PYTHON)" || { echo "easel: Easel needs Python 3.11. Debian 12: apt install python3.11 python3.11-venv. Elsewhere install it and name it: make test PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -I platform/easel/embedded/install.py dev
