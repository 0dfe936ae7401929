# `make run`, `make test` and `make install` work on a fresh machine with Python 3.11+ and make; nothing by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PEERS := .venv-peers
OUT ?= build/vqa

.PHONY: install run test fuzz mutants lint bench bench-peers docs pictures clean

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
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

# Random options, tables, folders and routers, far more of them than in `make test`.
fuzz: install
	ROUTEBANDIT_FUZZ=2000 $(BIN)/python -m pytest tests/test_fuzz*.py tests/test_damaged*.py \
	    tests/test_policy_files.py tests/test_budget.py

# Small faults in the arithmetic, one at a time: which of them do the tests not notice? Half an hour or more.
mutants: install
	$(BIN)/python benchmarks/mutants.py

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports setup.cfg

# BLAS picks the kernels that suit the processor, whatever the shell has settled for other programs.
OWN_BLAS = env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE

bench: install
	$(OWN_BLAS) $(BIN)/python benchmarks/speed.py
	$(OWN_BLAS) $(BIN)/python benchmarks/startup.py --repeats 3 --first
	$(OWN_BLAS) $(BIN)/python benchmarks/after.py growth page
	$(OWN_BLAS) $(BIN)/python benchmarks/sweeps.py --jobs 500
	$(OWN_BLAS) $(BIN)/python benchmarks/reading.py --kind "many models"
	$(OWN_BLAS) $(BIN)/python benchmarks/protocol.py

# A library that cannot be installed (contextualbandits needs a C compiler) is a row of the table that says so.
$(PEERS)/.installed: benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	grep -v '^#' $< | while read -r line; do \
		$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
			--ignore-requires-python "$$line" || echo "not installed: $$line"; \
	done
	touch $@

bench-peers: install $(PEERS)/.installed
	$(OWN_BLAS) $(BIN)/python benchmarks/peers.py

# Into site/, which opens from disk. A warning is an error.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# The README's two pictures: one run, drawn by kaleido (needs Chromium or Chrome).
pictures: install
	$(BIN)/python simulate.py --policy linucb --policy squarecb --policy preference,alpha=0.3,prior=1 --policy uniform \
	    --stream all --plots svg --out build/pictures
	cp build/pictures/plots/regret-against-best-fixed-model.svg docs/regret.svg
	cp build/pictures/plots/plane.svg docs/plane.svg

clean:
	rm -rf $(VENV) $(PEERS) build site
