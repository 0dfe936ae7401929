# `make run`, `make test` and `make install` work on a fresh machine with Python 3.11+ and make; nothing by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OUT ?= build/vqa

.PHONY: install run test lint bench clean

install: $(STAMP)

# The lock file fixes every version; the project itself is installed in place, without resolving anything again.
$(STAMP): setup.cfg pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

run: install
	$(BIN)/python simulate.py --policy linucb --policy thompson --policy epsilon --policy uniform --stream vqa --out $(OUT)

test: install lint
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install
	$(BIN)/python benchmarks/speed.py

clean:
	rm -rf $(VENV) build
