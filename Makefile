# EventFlow's workbench: `make` lists what it can do.

# Variables for the command line only: what the shell happens to export as PORT is not meant for us.
PORT     =
TIMELINE = on
FUNCTION = PaymentFunction
EVENT    = events/payment/order-created.json
SINCE    =
UNTIL    =
RULE     =
ORDER    =
SERVICE  =
DRY_RUN  =
POISON   =
JUNIT    =
RATE     =
SECONDS  =
FOLLOW   =
YES      =
UNPACK   =
KEEP     =
SEED     =
DEPTH    =
SCENARIO =
ORDERS   =
MUTANTS  =
MINUTES  =
ROUNDS   =
PYTHON   = $(or $(shell cat .venvs/python 2>/dev/null),python3)

DEV       = .venvs/dev/bin
UV        = .venvs/uv/bin/uv
VENVS     = .venvs/dev/ready .venvs/emulator/ready
OLDER     = .venvs/older/ready
LOCAL     = PYTHONPATH=functions $(DEV)/python -m local
CODE      = $(wildcard functions local ops tests timeline examples benchmarks)
TEMPLATES = $(wildcard template.yaml timeline/template.yaml schemas/template.yaml examples/*/template.yaml)

# On the embedded cloud, unless the shell names an AWS account.
THERE = if [ -f .local/env ] && [ -z "$$AWS_PROFILE$$AWS_ACCESS_KEY_ID" ]; then . .local/env; fi;
OPS   = $(THERE) PYTHONPATH=functions $(DEV)/python -m ops

# `sam` and `aws` start twice as fast where Python may keep what it has compiled, which some containers forbid it.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help venvs up token down invoke sam-local failed redrive smoke load logs replay timeline trace schemas models \
  simulate soak test test-unit test-simulation test-system lint format bench cost timeline-cost scale clean remember-python

help: ## List what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

up: venvs ## Run EventFlow whole on this machine [PORT=4566] [TIMELINE=off] [PYTHON=python3]
	@$(LOCAL) up --timeline "$(TIMELINE)" $(if $(PORT),--port $(PORT))

token: .venvs/dev/ready ## Renew the tokens of .local/env, which last an hour; nothing is deployed or ordered
	@$(LOCAL) token

down: ## Stop it and leave nothing of it behind
	@if [ -d .local ]; then $(LOCAL) down; else echo "EventFlow was not running."; fi

invoke: .venvs/dev/ready .venvs/emulator/ready ## Run one function on a sample event FUNCTION=PaymentFunction EVENT=events/payment/order-created.json
	@$(LOCAL) invoke "$(FUNCTION)" "$(EVENT)"

sam-local: $(VENVS) ## Run samples through the real `sam local`, in containers [UNPACK=1 for Debian's Docker where none runs]
	@$(LOCAL) sam-local $(if $(UNPACK),--unpack)

failed: .venvs/dev/ready ## List what is in the failed-events queues [SERVICE=payment] [ORDER=...]; on AWS as for replay
	@$(OPS) failed $(if $(SERVICE),--service "$(SERVICE)") $(if $(ORDER),--order "$(ORDER)") \
	  $(if $(STACK_NAME),--stack-name "$(STACK_NAME)")

redrive: .venvs/dev/ready ## Send it again to whoever failed on it [SERVICE=payment] [ORDER=...] [DRY_RUN=1] [YES=1]; on AWS as for replay
	@$(OPS) redrive $(if $(SERVICE),--service "$(SERVICE)") $(if $(ORDER),--order "$(ORDER)") \
	  $(if $(STACK_NAME),--stack-name "$(STACK_NAME)") $(if $(DRY_RUN),--dry-run) $(if $(YES),--yes)

smoke: .venvs/dev/ready ## Is this deployed stack right? Try it out [POISON=1|0] [YES=1] [JUNIT=smoke.xml]; on AWS as for replay
	@$(OPS) smoke $(if $(STACK_NAME),--stack-name "$(STACK_NAME)") \
	  $(if $(POISON),$(if $(filter-out 0,$(POISON)),--poison,--no-poison)) $(if $(YES),--yes) \
	  $(if $(JUNIT),--junit "$(JUNIT)")

load: .venvs/dev/ready ## How does it do under load? RATE=5 SECONDS=60 (orders a second, for so long) [YES=1]; on AWS as for replay
	@$(OPS) load $(if $(RATE),--rate "$(RATE)") $(if $(SECONDS),--seconds "$(SECONDS)") \
	  $(if $(STACK_NAME),--stack-name "$(STACK_NAME)") $(if $(YES),--yes)

logs: .venvs/dev/ready ## Show one order's log, of all functions ORDER=... [SINCE=1h] [FOLLOW=1]; on AWS as for replay
	@$(OPS) logs "$(ORDER)" $(if $(SINCE),--since "$(SINCE)") $(if $(FOLLOW),--follow) \
	  $(if $(STACK_NAME),--stack-name "$(STACK_NAME)")

replay: .venvs/dev/ready ## Deliver archived events again SINCE=2h [UNTIL=...] [RULE=...] [YES=1]; on AWS if AWS_PROFILE or AWS_ACCESS_KEY_ID is set
	@$(OPS) replay --since "$(SINCE)" $(if $(UNTIL),--until "$(UNTIL)") $(if $(RULE),--rule "$(RULE)") \
	  $(if $(STACK_NAME),--stack-name "$(STACK_NAME)") $(if $(YES),--yes)

timeline: .venvs/dev/ready ## Draw what happened to an order ORDER=...; on AWS as for replay
	@$(OPS) timeline "$(ORDER)" $(if $(STACK_NAME),--stack-name "$(STACK_NAME)-timeline")

trace: .venvs/dev/ready ## Draw the X-Ray trace of an order ORDER=...; on AWS as for replay
	@$(OPS) trace "$(ORDER)" $(if $(STACK_NAME),--stack-name "$(STACK_NAME)")

schemas: .venvs/dev/ready ## Write schemas/ anew from the contracts
	@PYTHONPATH=functions $(DEV)/python -m ops.schemas

models: .venvs/dev/ready ## Cut functions/eventflow/models/ out of botocore again, after a new boto3 or operation
	@PYTHONPATH=functions $(DEV)/python -m ops.models

test: test-unit test-simulation test-system ## Run all tests

test-unit: .venvs/dev/ready ## Run the tests that need nothing but Python
	@$(DEV)/python -m pytest -n auto tests/unit

test-simulation: .venvs/dev/ready ## Run the tests of the simulator itself; `make simulate` runs it
	@$(DEV)/python -m pytest -n auto tests/simulation

test-system: $(VENVS) $(OLDER) ## Run the tests of the deployed stack, on an embedded cloud of their own
	@$(DEV)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/system

simulate: .venvs/dev/ready ## Run the real handlers in a simulated AWS [DEPTH=2] [SCENARIO=...] [ORDERS=1000000] [SEED=...] [MUTANTS=1]
	@PYTHONPATH=functions $(DEV)/python -m tests.simulation $(if $(SEED),--seed "$(SEED)") \
	  $(if $(DEPTH),--depth "$(DEPTH)") $(if $(SCENARIO),--scenario "$(SCENARIO)") $(if $(ORDERS),--orders "$(ORDERS)") \
	  $(if $(MUTANTS),--mutants)

soak: $(VENVS) ## Random orders on an embedded cloud of its own, functions killed at random [ORDERS=2000] [MINUTES=20] [SEED=...]
	@ORDERS="$(ORDERS)" MINUTES="$(MINUTES)" SEED="$(SEED)" $(DEV)/python -m pytest -s -q tests/soak

lint: .venvs/dev/ready ## Check format, code, types and templates
	@$(DEV)/ruff format --check $(CODE)
	@$(DEV)/ruff check $(CODE)
	@$(DEV)/mypy $(wildcard functions local ops timeline)
	@$(DEV)/cfn-lint $(TEMPLATES)
	@for template in $(TEMPLATES); do \
	  SAM_CLI_TELEMETRY=0 $(DEV)/sam validate --lint --region us-east-1 --template-file "$$template" || exit; \
	done

format: .venvs/dev/ready ## Format the code and mend what can be mended
	@$(DEV)/ruff check --fix $(CODE)
	@$(DEV)/ruff format $(CODE)

bench: $(VENVS) ## How fast does each function start, and what does an invocation cost, beside bare boto3? [ROUNDS=20]
	@PYTHONPATH=functions $(DEV)/python -m benchmarks.speed $(if $(ROUNDS),--rounds "$(ROUNDS)")

cost: $(VENVS) ## What does an order cost? Record every billed call on a cloud of its own [ORDERS=2] [KEEP=1 writes docs/]
	@PYTHONPATH=functions $(DEV)/python -m benchmarks.cost $(if $(ORDERS),--orders "$(ORDERS)") $(if $(KEEP),--keep)

timeline-cost: .venvs/dev/ready ## What do the events in the timeline's table cost, per million? On AWS as for replay
	@$(THERE) $(DEV)/python benchmarks/timeline_cost.py

scale: .venvs/dev/ready ## Which limit binds first, at how many orders a second? Write the tables of docs/scale.md
	@PYTHONPATH=functions $(DEV)/python -m benchmarks.scale

clean: down ## Remove all that make made, the virtual environments too
	@rm -rf .venvs .aws-sam .simulation .hypothesis .mypy_cache .pytest_cache .ruff_cache

# Both at once: to install is mostly to wait.
venvs:
	@$(MAKE) --no-print-directory --jobs 2 $(VENVS)

# One virtual environment for the developer's tools; one that stands for Lambda's own runtime, under the emulator; and
# one for tests, which stands for the runtime of a year ago.
.venvs/dev/ready: requirements-dev.txt layer/requirements.txt $(UV)
.venvs/emulator/ready: local/requirements.txt $(UV)
.venvs/older/ready: tests/system/older-runtime.txt $(UV)
$(VENVS) $(OLDER):
	@echo "  Install $< into $(@D), once"
	@rm -rf $(@D)
	@$(UV) venv --quiet --no-python-downloads --python $(PYTHON) --seed $(@D)
	@$(UV) pip install --quiet --python $(@D) --requirement $<
	@touch $@

# uv installs in seconds what takes pip a minute. It is pinned where the other tools are.
$(UV): requirements-dev.txt .venvs/python
	@rm -rf .venvs/uv
	@$(PYTHON) -m venv .venvs/uv
	@.venvs/uv/bin/python -m pip install --quiet --quiet --disable-pip-version-check "$$(grep -o '^uv==[^ ]*' $<)"
	@touch $@

# Which Python that was: another PYTHON= makes both anew, none keeps it.
.venvs/python: remember-python
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
	  { echo "error: \`$(PYTHON)\` is no Python 3.11, 3.12 or 3.13; name one: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@mkdir -p .venvs
	@echo $(PYTHON) | cmp -s - $@ || echo $(PYTHON) > $@
