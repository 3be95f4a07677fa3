# Set-up, tests and the demos; needs Linux and a Python 3.9 to 3.11 (or uv, which then fetches 3.11).
SHELL := /bin/bash
BIN := .venv/bin
EXTRAS ?= dev,faces,video,heif,serving,evaluation

.PHONY: help venv test demo training-demo clean

help:
	@echo 'make demo           set up; turn the eyes of a portrait, correct and animate them: runs/demo/ (a minute)'
	@echo 'make training-demo  set up, render faces, train, correct, animate, measure: runs/training-demo/ (about 20 minutes)'
	@echo 'make test           set up and run the test suite'
	@echo 'make venv           set up only: .venv with the package and its extras'
	@echo 'make clean          remove .venv and runs/'

venv: $(BIN)/.installed

# the newest Python that runs and can make environments: a name on the PATH may be an empty shim
$(BIN)/.installed: setup.py
	@set -e; rm -rf .venv; found=; \
	for python in python3.11 python3.10 python3.9 python3 python; do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(not (3, 9) <= sys.version_info < (3, 12))' 2>/dev/null; \
	  then found=$$python; break; fi; \
	done; \
	if [ -n "$$found" ]; then $$found -m venv .venv; \
	elif command -v uv >/dev/null; then uv venv --seed --python 3.11 .venv; \
	else echo 'No Python 3.9, 3.10 or 3.11 found: install one of them (with its venv module), or uv.' >&2; exit 1; fi
	$(BIN)/python -m pip install --progress-bar=off -e '.[$(EXTRAS)]'
	@touch $@

test: venv
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder tests

demo: venv
	$(BIN)/python -m tools.demo --output_dir=runs/demo

training-demo: venv
	$(BIN)/python -m tools.training_demo --output_dir=runs/training-demo

clean:
	rm -rf .venv runs
