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

# Without its byte code, every process that tests start would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test docs validity fuzz lint style types format bench-align bench-guard bench-zoo \
	bench-detect bench-mitigate clean

help:
	@echo "make demo         scan, repair and report on the bundled model"
	@echo "make test         lint, types, import contract, documentation and the fast tests, on all cores"
	@echo "make docs         the documentation as a site, in build/site"
	@echo "make validity     the slow tests: real models, minutes of computing"
	@echo "make fuzz         each parser for 10 minutes (SECONDS=600 PARSERS='pickled toml')"
	@echo "make lint         the static checks alone"
	@echo "make format       rewrite the sources in the house style"
	@echo "make bench-align  time the fits against each other (ZOO=models DATA=data sets)"
	@echo "make bench-guard  what the guard costs on clean images (ZOO=models DATA=data sets)"
	@echo "make bench-detect detection on known models (ZOO=models DATA=data sets)"
	@echo "make bench-mitigate: repair beside its rivals, hours or days (ZOO=models DATA=data sets)"
	@echo "make bench-zoo    the whole job on known models (ZOO=models DATA=data sets)"

$(STAMP): pyproject.toml bench/pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("undoor needs Python 3.11 or newer, got %d.%d; run: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]' -e bench
	@touch $@

demo: $(STAMP)
	$(BIN)/undoor demo $(ARGS) || [ $$? -eq 1 ] # 1: backdoored, as it should be

# Without network: MkDocs is held to its own warnings.
DOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict -q
docs: $(STAMP)
	$(DOCS)

# As many processes as cores, each with one torch thread (conftest.py) and about 1 GB of memory;
# WORKERS=0 runs everything in one. Searches are tested in bfloat16 and in float32; UNDOOR_FLOAT32=1
# leaves bfloat16 out.
#
# Types and documentation take one core for up to a minute. They are checked during the tests and
# shown behind them; either failure is one of the command.
WORKERS ?= auto
CHECKS := build/checks.txt
TYPES := $(BIN)/mypy
test: style
	@mkdir -p $(dir $(CHECKS))
	@{ $(TYPES); types=$$?; $(DOCS) && exit $$types; } >$(CHECKS) 2>&1 & checks=$$!; \
	$(BIN)/pytest -n $(WORKERS) --maxprocesses 8 --dist worksteal $(ARGS); tests=$$?; \
	wait $$checks; checks=$$?; cat $(CHECKS); exit $$((tests | checks))

validity: $(STAMP)
	$(BIN)/pytest -m slow $(ARGS)

# New inputs go to build/fuzz; bench/scripts/fuzz.py PARSER keep puts the telling ones into tests/corpus.
SECONDS ?= 600
PARSERS ?= pickled zipped checkpoint safetensors toml npz tar parquet onnx names repair
fuzz: $(STAMP)
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]' -e 'bench[fuzz]'
	for parser in $(PARSERS); do \
		$(BIN)/python bench/scripts/fuzz.py $$parser $(SECONDS) || exit 1; done

lint: style types

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(TYPES)

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Needs ZOO, a folder of models, and DATA, a folder with cifar10.npz.
WRN := abl_wrn16_1_grid_t0
bench-align: $(STAMP) build/resnet18/weights.safetensors
	$(BIN)/python bench/scripts/align.py $(ZOO)/$(WRN) $(ZOO)/$(WRN)/trigger_grid.npz 0 \
		$(DATA)/cifar10.npz bench/results/align_wrn16_1.json $(ARGS)
	$(BIN)/python bench/scripts/align.py build/resnet18 build/resnet18/trigger.npz 9 \
		$(DATA)/cifar10.npz bench/results/align_resnet18.json $(ARGS)

bench-guard: $(STAMP)
	$(BIN)/python bench/scripts/guard.py $(ZOO)/$(WRN) $(DATA)/cifar10.npz \
		bench/results/guard_wrn16_1.json

build/resnet18/weights.safetensors: $(STAMP)
	$(BIN)/python bench/scripts/resnet18.py $(DATA)/cifar10.npz build/resnet18

# Needs ZOO and DATA as above; models whose result is there are skipped.
bench-zoo: $(STAMP)
	$(BIN)/python bench/scripts/zoo.py $(ZOO) $(DATA) bench/results/zoo
	$(BIN)/python bench/scripts/zoo.py $(ZOO) $(DATA) bench/results/true_trigger --true-trigger

# Records go to build/detect, the tables to bench/results/detect. The models of ZOO name Python
# code of their own, which --trust-code runs.
DETECT := build/detect
TABLES := bench/results/detect
bench-detect: $(STAMP)
	$(BIN)/undoor-bench detect zoo --data $(DATA) --out $(DETECT)/zoo
	cp $(DETECT)/zoo/detect.csv $(TABLES)/zoo.csv
	$(BIN)/undoor-bench detect zoo --data $(DATA) --out $(DETECT)/zoo --held-out
	for e in md csv svg; do cp $(DETECT)/zoo/detect.$$e $(TABLES)/held_out.$$e; done
	$(BIN)/undoor-bench detect $(ZOO) --data $(DATA) --out $(DETECT)/public --trust-code
	for e in md csv svg; do cp $(DETECT)/public/detect.$$e $(TABLES)/public.$$e; done

# As above. ARGS="--methods ours,rivals --images 10" does less; what is there is not measured again.
MITIGATE := build/mitigate
MITIGATED := bench/results/mitigate
bench-mitigate: $(STAMP)
	$(BIN)/undoor-bench mitigate zoo --data $(DATA) --out $(MITIGATE)/zoo $(ARGS)
	$(BIN)/undoor-bench mitigate zoo/ablations --data $(DATA) --out $(MITIGATE)/ablations $(ARGS)
	$(BIN)/undoor-bench mitigate $(ZOO) --data $(DATA) --out $(MITIGATE)/public --trust-code $(ARGS)
	mkdir -p $(MITIGATED)
	for e in md csv svg; do for z in zoo ablations public; do \
		cp $(MITIGATE)/$$z/mitigate.$$e $(MITIGATED)/$$z.$$e || exit 1; done; done

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
