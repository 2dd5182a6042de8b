# Every target sets up .venv by itself, again only when pyproject.toml or constraints.txt has changed.
# make PYTHON=python3.12 demo    uses another interpreter (3.10 to 3.13)
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2

BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed-by-make

.PHONY: help setup demo test lint format bench clean

help:
	@echo "make demo     watch policies navigate unseen houses: a table, a report page and a video under runs/demo"
	@echo "make test     lint, types and every test"
	@echo "make lint     ruff and mypy alone"
	@echo "make format   let ruff sort imports and mend what it can"
	@echo "make bench    how fast the simulator and the data are on this machine"
	@echo "make clean    remove caches and build folders; runs/ and .venv stay"

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "'$(PYTHON)' is not here: install Python 3.10 to 3.13, or run make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 10) <= v < (3, 14) or sys.exit(f"Python 3.10 to 3.13 is needed and $(PYTHON) is {v.major}.{v.minor}: run make PYTHON=/path/to/python3.12")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(MAKE) --no-print-directory environment
	@echo "Setting up $(VENV); the first time this takes some minutes (PyTorch is large)."
	@$(BIN)/python -m pip install --quiet --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# Debian and Ubuntu ship venv without ensurepip; there the system's pip fills the environment.
.PHONY: environment
environment:
	@rm -rf $(VENV)
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
		$(PYTHON) -m venv $(VENV); \
	else \
		$(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip install --quiet pip --target \
			"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"; \
	fi || { echo "$(PYTHON) cannot make virtual environments: install python3-venv (Debian, Ubuntu: sudo apt install python3-venv)"; exit 1; }

demo: setup
	$(BIN)/nav-foundation demo --out runs/demo

# One thread each: workers that share their cores wait for each other's threads.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS)

lint: setup
	$(BIN)/ruff check .
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
		echo $(BIN)/mypy; $(BIN)/mypy; \
	else \
		echo "types are not checked on Python 3.10: the last NumPy for it has other type stubs"; \
	fi

format: setup
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python benchmarks/simulator.py
	$(BIN)/python benchmarks/data.py

clean:
	rm -rf build dist install log *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
