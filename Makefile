# EventFlow's workbench: `make` lists what it can do.

ifeq ($(OS),Windows_NT)
$(error EventFlow's make needs Linux or macOS: on Windows, use WSL 2 or the dev container (README, "Where it runs"))
endif

# Variables for the command line only: a PORT that the shell exports is for other programs.
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
ENDING   =
TYPE     =
SLOWER   =
VARIANT  =
FIND     =
LIMIT    =
JSON     =
AGAINST  =
BUS      =
SAMPLE   =
SOURCES  =
SET      =
POOL     =
OPERATOR =
MINUTES  =
ROUNDS   =
PYTHON   = $(or $(shell cat .venvs/python 2>/dev/null),python3)

DEV       = .venvs/dev/bin
UV        = .venvs/uv/bin/uv
VENVS     = .venvs/dev/ready .venvs/emulator/ready
OLDER     = .venvs/older/ready
LOCAL     = PYTHONPATH=functions $(DEV)/python -m local
CODE      = $(wildcard functions local ops tests timeline examples benchmarks cost)
TEMPLATES = $(wildcard template.yaml timeline/template.yaml schemas/template.yaml examples/*/template.yaml)
DEPLOYER  = $(wildcard .github/deployer.yaml)

# On the embedded cloud, unless the shell names an AWS account.
THERE = if [ -f .local/env ] && [ -z "$$AWS_PROFILE$$AWS_ACCESS_KEY_ID" ]; then . .local/env; fi;
OPS   = $(THERE) PYTHONPATH=functions $(DEV)/python -m ops

# `sam` and `aws` start twice as fast if Python may keep compiled code, which some containers forbid.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help venvs up token console down invoke sam-local failed redrive smoke load logs replay timeline sagas flow attach trace schemas models simulate \
  pictures soak fuzz test test-unit test-repository test-simulation test-system test-clone lint format bench cost timeline-cost scale clean remember-python

help: ## List what make can do
	@awk -F ':.*## ' '/^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { parts = split($$2, text, " [|] "); printf "  make %-15s %s\n", $$1, text[1]; \
	    for (part = 2; part <= parts; part++) printf "%23s%s\n", "", text[part] }' Makefile
	@printf '\nLook and Operate use the cloud of `make up`. For a stack on AWS, set\n'
	@printf 'AWS_PROFILE or AWS_ACCESS_KEY_ID, and STACK_NAME if it is not "eventflow".\n'

##@ Run: EventFlow on this machine

up: venvs ## Start it, deploy, and place twenty orders | [PORT=4566] [TIMELINE=off] [PYTHON=python3]
	@$(LOCAL) up --timeline "$(TIMELINE)" $(if $(PORT),--port $(PORT))

console: .venvs/dev/ready ## Show the timeline console's address and sign-in
	@$(OPS) console $(if $(STACK_NAME),--stack-name "$(STACK_NAME)")

token: .venvs/dev/ready ## Renew the tokens of .local/env, which last an hour
	@$(LOCAL) token

invoke: .venvs/dev/ready .venvs/emulator/ready ## Run one function on a sample event in Lambda's runtime | FUNCTION=PaymentFunction | EVENT=events/payment/order-created.json
	@$(LOCAL) invoke "$(FUNCTION)" "$(EVENT)"

sam-local: $(VENVS) ## Run samples through `sam local`, in containers | [UNPACK=1 takes Debian's Docker where none runs]
	@$(LOCAL) sam-local $(if $(UNPACK),--unpack)

down: ## Stop it and leave nothing behind
	@if [ -d .local ]; then $(LOCAL) down; else echo "EventFlow was not running."; fi

##@ Look: at orders and failures, here or on AWS

timeline: .venvs/dev/ready ## Draw what happened to an order | ORDER=... (whole, or its first six characters) [JSON=1]
	@$(OPS) timeline "$(ORDER)" $(if $(JSON),--json) $(if $(STACK_NAME),--stack-name "$(STACK_NAME)")

sagas: .venvs/dev/ready ## List sagas | [ENDING=stuck] [SINCE=1h] [TYPE=...] [SERVICE=payment] | [SLOWER=2s] [FIND=...]
	@$(OPS) sagas $(if $(ENDING),--ending "$(ENDING)") $(if $(SINCE),--since "$(SINCE)") $(if $(UNTIL),--until "$(UNTIL)") \
	  $(if $(TYPE),--type "$(TYPE)") $(if $(SERVICE),--service "$(SERVICE)") $(if $(SLOWER),--slower "$(SLOWER)") \
	  $(if $(VARIANT),--variant "$(VARIANT)") $(if $(FIND),--find "$(FIND)") $(if $(LIMIT),--limit "$(LIMIT)") \
	  $(if $(JSON),--json) $(if $(STACK_NAME),--stack-name "$(STACK_NAME)")

flow: .venvs/dev/ready ## Show what is usual, and what is not | [SINCE=1h] [AGAINST=2h..1h] [JSON=1]
	@$(OPS) flow $(if $(SINCE),--since "$(SINCE)") $(if $(AGAINST),--against "$(AGAINST)") $(if $(JSON),--json) \
	  $(if $(STACK_NAME),--stack-name "$(STACK_NAME)")

trace: .venvs/dev/ready ## Draw the X-Ray trace of an order | ORDER=... (its whole id, as for logs and failed)
	@$(OPS) trace "$(ORDER)" $(if $(STACK_NAME),--stack-name "$(STACK_NAME)")

logs: .venvs/dev/ready ## Show what all functions logged about one order | ORDER=... [SINCE=1h] [FOLLOW=1]
	@$(OPS) logs "$(ORDER)" $(if $(SINCE),--since "$(SINCE)") $(if $(FOLLOW),--follow) \
	  $(if $(STACK_NAME),--stack-name "$(STACK_NAME)")

failed: .venvs/dev/ready ## List the failed events, with the reason | [SERVICE=payment] [ORDER=...]
	@$(OPS) failed $(if $(SERVICE),--service "$(SERVICE)") $(if $(ORDER),--order "$(ORDER)") \
	  $(if $(STACK_NAME),--stack-name "$(STACK_NAME)")

##@ Operate: a deployed stack, here or on AWS

smoke: .venvs/dev/ready ## Check a deployed stack: settings, orders, failures | [POISON=1] [POISON=0] [YES=1] [JUNIT=smoke.xml]
	@$(OPS) smoke $(if $(STACK_NAME),--stack-name "$(STACK_NAME)") \
	  $(if $(POISON),$(if $(filter-out 0,$(POISON)),--poison,--no-poison)) $(if $(YES),--yes) \
	  $(if $(JUNIT),--junit "$(JUNIT)")

redrive: .venvs/dev/ready ## Send failed events again, to the function that failed | [SERVICE=payment] [ORDER=...] [DRY_RUN=1] [YES=1]
	@$(OPS) redrive $(if $(SERVICE),--service "$(SERVICE)") $(if $(ORDER),--order "$(ORDER)") \
	  $(if $(STACK_NAME),--stack-name "$(STACK_NAME)") $(if $(DRY_RUN),--dry-run) $(if $(YES),--yes)

replay: .venvs/dev/ready ## Deliver archived events again | SINCE=2h [UNTIL=...] [RULE=...] [YES=1]
	@$(OPS) replay --since "$(SINCE)" $(if $(UNTIL),--until "$(UNTIL)") $(if $(RULE),--rule "$(RULE)") \
	  $(if $(STACK_NAME),--stack-name "$(STACK_NAME)") $(if $(YES),--yes)

attach: .venvs/dev/ready ## Attach a timeline to any bus | BUS=... [SAMPLE=event.json] [SECONDS=60] [POOL=...] | [SET='Noun=parcel'] [YES=1]
	@$(OPS) attach "$(BUS)" $(if $(SAMPLE),--sample "$(SAMPLE)") $(if $(SECONDS),--seconds "$(SECONDS)") \
	  $(if $(SOURCES),--sources "$(SOURCES)") $(if $(SET),--set "$(SET)") $(if $(POOL),--pool "$(POOL)") \
	  $(if $(OPERATOR),--operator "$(OPERATOR)") $(if $(YES),--yes) \
	  $(if $(findstring command,$(origin STACK_NAME)),--stack-name "$(STACK_NAME)") # the shell's is EventFlow's own

load: .venvs/dev/ready ## Place many orders and check every one | [RATE=5 (orders a second)] [SECONDS=60] [YES=1]
	@$(OPS) load $(if $(RATE),--rate "$(RATE)") $(if $(SECONDS),--seconds "$(SECONDS)") \
	  $(if $(STACK_NAME),--stack-name "$(STACK_NAME)") $(if $(YES),--yes)

##@ Work: on the code

lint: .venvs/dev/ready ## Check format, code, types, templates and workflows
	@$(DEV)/ruff format --check $(CODE)
	@$(DEV)/ruff check $(CODE)
	@$(DEV)/mypy $(wildcard functions local ops timeline cost)
	@$(DEV)/cfn-lint $(TEMPLATES) $(DEPLOYER)
	@$(DEV)/zizmor --quiet --offline --strict-collection .github
	@for template in $(TEMPLATES); do \
	  SAM_CLI_TELEMETRY=0 $(DEV)/sam validate --lint --region us-east-1 --template-file "$$template" || exit; \
	done

format: .venvs/dev/ready ## Format the code and fix what ruff can fix
	@$(DEV)/ruff check --fix $(CODE)
	@$(DEV)/ruff format $(CODE)

models: .venvs/dev/ready ## Cut functions/eventflow/models/ out of botocore again
	@PYTHONPATH=functions $(DEV)/python -m ops.models

pictures: .venvs/dev/ready ## Take the pictures of docs/ (needs chromium)
	@$(THERE) $(DEV)/python -m local.pictures

test: test-unit test-repository test-simulation test-system ## Run unit, repository, simulation and system tests

test-unit: .venvs/dev/ready ## Run the tests of the code by itself
	@$(DEV)/python -m pytest -n auto tests/unit

test-repository: .venvs/dev/ready ## Check templates, schemas, samples and documents
	@$(DEV)/python -m pytest -n auto tests/repository

test-simulation: .venvs/dev/ready ## Run the tests of the simulator itself
	@$(DEV)/python -m pytest -n auto tests/simulation

test-system: $(VENVS) $(OLDER) ## Run the tests of the deployed stack
	@$(DEV)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/system

test-clone: $(VENVS) ## Follow the README and the tutorial in a fresh copy
	@$(DEV)/python -m pytest -n 2 --dist loadfile tests/clone

simulate: .venvs/dev/ready ## Run the real handlers in a simulated AWS | [DEPTH=2] [SCENARIO=...] [ORDERS=1000000] [SEED=...] | [MUTANTS=1]
	@PYTHONPATH=functions $(DEV)/python -m tests.simulation $(if $(SEED),--seed "$(SEED)") \
	  $(if $(DEPTH),--depth "$(DEPTH)") $(if $(SCENARIO),--scenario "$(SCENARIO)") $(if $(ORDERS),--orders "$(ORDERS)") \
	  $(if $(MUTANTS),--mutants)

soak: $(VENVS) ## Place random orders and kill functions at random | [ORDERS=2000] [MINUTES=20] [SEED=...]
	@ORDERS="$(ORDERS)" MINUTES="$(MINUTES)" SEED="$(SEED)" $(DEV)/python -m pytest -s -q tests/soak

fuzz: $(VENVS) ## Ask the APIs everything, send every wrong event | [MINUTES=10] [SEED=...]
	@EVERYTHING=1 $(DEV)/python -m pytest -q -n auto tests/unit/test_mutated_events.py
	@FUZZ_SECONDS="$$(( $(or $(MINUTES),10) * 60 ))" FUZZ_SEED="$(SEED)" $(DEV)/python -m pytest -s -q tests/system/test_fuzz.py

schemas: .venvs/dev/ready ## Write schemas/, docs/api/ and docs/events/
	@PYTHONPATH=functions $(DEV)/python -m ops.documents

bench: $(VENVS) ## Compare starts and warm costs with bare boto3 | [ROUNDS=20; below 20 it does not write the document]
	@PYTHONPATH=functions $(DEV)/python -m benchmarks.speed $(if $(ROUNDS),--rounds "$(ROUNDS)")

cost: $(VENVS) ## Count every billed call of an order, and its price | [ORDERS=2] [KEEP=1 writes performance.md, scale.md]
	@PYTHONPATH=functions $(DEV)/python -m benchmarks.cost $(if $(ORDERS),--orders "$(ORDERS)") $(if $(KEEP),--keep)

timeline-cost: .venvs/dev/ready ## Count what the timeline costs per million events
	@$(THERE) $(DEV)/python -m benchmarks.timeline_cost

scale: .venvs/dev/ready ## Count which limit is met first | Writes the tables of docs/scale.md
	@PYTHONPATH=functions $(DEV)/python -m benchmarks.scale

clean: down ## Remove all that make made, virtual environments too
	@rm -rf .venvs .aws-sam .simulation .hypothesis .mypy_cache .pytest_cache .ruff_cache load.svg

# Both at once: installing is mostly waiting.
venvs:
	@$(MAKE) --no-print-directory --jobs 2 $(VENVS) ASKED="$(MAKECMDGOALS)"

# One virtual environment for the developer's tools; one, for the emulator, that represents Lambda's own runtime; and
# one for tests, which represents the runtime of a year ago.
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

# Remembers the Python: another PYTHON= makes both again, no PYTHON= keeps them.
.venvs/python: remember-python
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
	  { echo "error: \`$(PYTHON)\` is no Python 3.11, 3.12 or 3.13; name one: make $(or $(ASKED),$(MAKECMDGOALS)) PYTHON=python3.13" >&2; exit 1; }
	@mkdir -p .venvs
	@echo $(PYTHON) | cmp -s - $@ || echo $(PYTHON) > $@
