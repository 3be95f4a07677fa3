# Set-up, checks and the demos; needs Linux and Python 3.11 (or uv, which then fetches it).
# PYTHON=python3.12 or python3.13 uses that version, in an environment of its own.
SHELL := /bin/bash
PYTHON ?= python3.11
VERSION := $(patsubst python%,%,$(notdir $(PYTHON)))
VENV := .venv$(if $(filter-out 3.11,$(VERSION)),-$(VERSION))
BIN := $(VENV)/bin
EXTRAS ?= dev,faces,video,heif,serving,evaluation,page

CONSTRAINTS := constraints/py$(subst .,,$(VERSION)).txt
# tests at a time; each takes up to 4 GB of memory
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help venv lint test test-quick coverage demo training-demo clean

help:
	@echo 'make demo           set up; turn the eyes of a portrait, correct and animate them: runs/demo/ (a minute)'
	@echo 'make training-demo  set up, render faces, train, correct, animate, measure: runs/training-demo/ (about 20 minutes)'
	@echo 'make test           set up and run the test suite (about 10 minutes on 2 cores)'
	@echo 'make test-quick     set up and run the tests that train nothing (about 3 minutes)'
	@echo 'make coverage       make test, and tell which lines it runs'
	@echo 'make lint           set up and check format, style and types'
	@echo 'make venv           set up only: .venv with the package and its extras'
	@echo 'make clean          remove environments and runs/'

venv: $(BIN)/.installed

# a Python that runs and can make environments: a name on the PATH may be an empty shim
$(BIN)/.installed: setup.py $(CONSTRAINTS)
	@set -e; rm -rf $(VENV); found=; \
	for python in $(PYTHON) python3 python; do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit("%d.%d" % sys.version_info[:2] != "$(VERSION)")' 2>/dev/null; \
	  then found=$$python; break; fi; \
	done; \
	if [ -n "$$found" ]; then $$found -m venv $(VENV); \
	elif command -v uv >/dev/null; then uv venv --seed --python $(VERSION) $(VENV); \
	else echo 'No Python $(VERSION) found: install it (with its venv module), or uv.' >&2; exit 1; fi
	$(BIN)/python -m pip install --progress-bar=off -c $(CONSTRAINTS) -e '.[$(EXTRAS)]'
	@touch $@

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: venv
	$(PYTEST)

test-quick: venv
	$(PYTEST) -m 'not trains and not slow'

coverage: venv
	$(PYTEST) --cov --cov-report=term:skip-covered

demo: venv
	$(BIN)/python -m tools.demo --output_dir=runs/demo

training-demo: venv
	$(BIN)/python -m tools.training_demo --output_dir=runs/training-demo

clean:
	rm -rf .venv .venv-* runs
