# `make demo`, `make test` and `make bench-align` set up .venv themselves from nothing but Python
# >= 3.11 and make. Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# glibc hands large buffers back and faults them in again at every step; that is up to a quarter of
# the time of a long run on CPUs.
export MALLOC_TRIM_THRESHOLD_ ?= 1073741824
export MALLOC_MMAP_THRESHOLD_ ?= 1073741824

.PHONY: help demo test validity lint format bench-align clean

help:
	@echo "make demo         scan, repair and report on the bundled model"
	@echo "make test         lint, types, import contract and the fast tests"
	@echo "make validity     the slow tests: real models, minutes of computing"
	@echo "make lint         the static checks alone"
	@echo "make format       rewrite the sources in the house style"
	@echo "make bench-align  time the correction fit against the paper's (ARGS='...')"

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("undoor needs Python 3.11 or newer, got %d.%d; run: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/undoor demo $(ARGS) || [ $$? -eq 1 ] # 1: backdoored, as it should be

test: lint
	$(BIN)/pytest $(ARGS)

validity: $(STAMP)
	$(BIN)/pytest -m slow $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-align: $(STAMP)
	$(BIN)/python benchmarks/align.py $(ARGS)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
