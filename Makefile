# EventFlow's workbench: `make` lists what it can do.

# Variables for the command line only: what the shell happens to export as PORT is not meant for us.
PORT     =
FUNCTION = PaymentFunction
EVENT    = events/payment/order-created.json
SINCE    =
UNTIL    =
RULE     =
YES      =
PYTHON   = $(or $(shell cat .venvs/python 2>/dev/null),python3)

DEV       = .venvs/dev/bin
VENVS     = .venvs/dev/ready .venvs/emulator/ready
LOCAL     = PYTHONPATH=functions $(DEV)/python -m local
CODE      = $(wildcard functions local ops tests examples benchmarks)
TEMPLATES = $(wildcard template.yaml schemas/template.yaml examples/*/template.yaml)

.DEFAULT_GOAL := help
.PHONY: help up down invoke replay schemas test test-unit test-system lint format benchmark clean remember-python

help: ## List what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

up: $(VENVS) ## Run EventFlow whole on this machine [PORT=4566] [PYTHON=python3]
	@$(LOCAL) up $(if $(PORT),--port $(PORT))

down: ## Stop it and leave nothing of it behind
	@if [ -d .local ]; then $(LOCAL) down; else echo "EventFlow was not running."; fi

invoke: .venvs/dev/ready .venvs/emulator/ready ## Run one function on a sample event FUNCTION=PaymentFunction EVENT=events/payment/order-created.json
	@$(LOCAL) invoke "$(FUNCTION)" "$(EVENT)"

# The embedded cloud, unless the shell names an AWS account.
replay: .venvs/dev/ready ## Deliver archived events again SINCE=2h [UNTIL=...] [RULE=...] [YES=1]; on AWS if AWS_PROFILE or AWS_ACCESS_KEY_ID is set
	@if [ -f .local/env ] && [ -z "$$AWS_PROFILE$$AWS_ACCESS_KEY_ID" ]; then . .local/env; fi; \
	  $(DEV)/python -m ops replay --since "$(SINCE)" $(if $(UNTIL),--until "$(UNTIL)") $(if $(RULE),--rule "$(RULE)") \
	  $(if $(STACK_NAME),--stack-name "$(STACK_NAME)") $(if $(YES),--yes)

schemas: .venvs/dev/ready ## Write schemas/ anew from the contracts
	@PYTHONPATH=functions $(DEV)/python -m ops.schemas

test: test-unit test-system ## Run all tests

test-unit: .venvs/dev/ready ## Run the tests that need nothing but Python
	@$(DEV)/python -m pytest tests/unit

test-system: $(VENVS) ## Run the tests of the deployed stack, on an embedded cloud of their own
	@$(DEV)/python -m pytest tests/system

lint: .venvs/dev/ready ## Check format, code, types and templates
	@$(DEV)/ruff format --check $(CODE)
	@$(DEV)/ruff check $(CODE)
	@$(DEV)/mypy $(wildcard functions local ops)
	@$(DEV)/cfn-lint $(TEMPLATES)
	@for template in $(TEMPLATES); do \
	  SAM_CLI_TELEMETRY=0 $(DEV)/sam validate --lint --region us-east-1 --template-file "$$template" || exit; \
	done

format: .venvs/dev/ready ## Format the code and mend what can be mended
	@$(DEV)/ruff check --fix $(CODE)
	@$(DEV)/ruff format $(CODE)

benchmark: .venvs/dev/ready ## Compare what importing each function costs with a bare boto3 handler
	@$(DEV)/python benchmarks/imports.py

clean: down ## Remove all that make made, the virtual environments too
	@rm -rf .venvs .aws-sam .hypothesis .mypy_cache .pytest_cache .ruff_cache

# One virtual environment for the developer's tools; one that stands for Lambda's own runtime, under the emulator.
.venvs/dev/ready: requirements-dev.txt layer/requirements.txt .venvs/python
.venvs/emulator/ready: local/requirements.txt .venvs/python
$(VENVS):
	@echo "  Install $< into $(@D), once"
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --quiet --disable-pip-version-check --requirement $<
	@touch $@

# Which Python that was: another PYTHON= makes both anew, none keeps it.
.venvs/python: remember-python
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
	  { echo "error: \`$(PYTHON)\` is no Python 3.11, 3.12 or 3.13; name one: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@mkdir -p .venvs
	@echo $(PYTHON) | cmp -s - $@ || echo $(PYTHON) > $@
