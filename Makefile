# `make` alone says what there is. Python 3.11 or newer is all that is needed:
# the targets make their own .venv, and again when pyproject.toml or constraints.txt changed.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin/python
PIP    := $(BIN) -m pip --disable-pip-version-check

# Where the money is: every branch of these is tested.
EXACT  := db/ledger.py,db/steps.py,bot/money.py,bot/pricing.py,bot/budget.py

.DEFAULT_GOAL := help
.PHONY: help demo run test bench lint screenshots pins clean chaos

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/runtime.stamp  ## try the bot in a browser: no account, no keys, nothing leaves the machine
	@$(BIN) -m bot demo $(ARGS)

run: $(VENV)/runtime.stamp  ## run the bot with the settings in .env
	@$(BIN) -m bot $(ARGS)

# Databases that are made and thrown away by the thousand belong into memory, where there is some.
ifneq ($(shell test -d /dev/shm && test -w /dev/shm && echo yes),)
test: export TMPDIR := /dev/shm
endif

ifdef ARGS
test: $(VENV)/dev.stamp
	$(BIN) -m pytest -n auto $(ARGS)
else
test: $(VENV)/dev.stamp  ## all tests, with coverage (ARGS="-k budget": some of them, without)
	$(BIN) -m pytest -n auto --cov --cov-report=
	$(BIN) -m coverage report --fail-under=90
	$(BIN) -m coverage report --include=$(EXACT) --fail-under=100
endif

bench: $(VENV)/dev.stamp  ## measure how fast it is (ARGS=--quick: in two minutes; see docs/performance.md)
	@$(BIN) -m tests.bench $(ARGS)

N ?= 500
chaos: $(VENV)/dev.stamp  ## kill the bot N=500 times, on both databases, and see what is left
	@$(BIN) -m tests.chaos --n $(N) $(ARGS)

lint: $(VENV)/dev.stamp  ## style, types, and the arrows between the rooms
	$(BIN) -m ruff check .
	$(BIN) -m ruff format --check .
	$(BIN) -m mypy
	$(VENV)/bin/lint-imports --no-logo

screenshots: $(VENV)/dev.stamp  ## take the pictures in docs/images again (needs a Chromium)
	$(BIN) -m tests.screenshots

pins: $(VENV)/dev.stamp  ## take the newest allowed versions into constraints.txt (then run the tests)
	@$(BIN) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "Pins are made on Python 3.11, the oldest, so that they fit all: make clean pins PYTHON=python3.11")'
	$(PIP) install --quiet --upgrade --upgrade-strategy eager -e '.[test,lint]'
	@{ sed '/^[^#]/,$$d' constraints.txt; $(PIP) freeze --exclude-editable | LC_ALL=C sort -f; } > constraints.new
	@mv constraints.new constraints.txt
	@touch $(VENV)/runtime.stamp $(VENV)/dev.stamp

clean:  ## remove what the targets made (the database in data/ and .env stay)
	rm -rf $(VENV) build dist *.egg-info htmlcov .coverage .coverage.* \
	  .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime.stamp: pyproject.toml constraints.txt | $(BIN)
	$(PIP) install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(BIN)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[test,lint]'
	@touch $@ $(VENV)/runtime.stamp
