# make book     the site, from the outputs stored in the chapters
# make test     lint, the package's tests, every chapter, the built site
# make help     everything else

PYTHON  ?= $(shell command -v python3.11 || command -v python3)
VENV    := .venv
BIN     := $(VENV)/bin
PY      := $(BIN)/python
STAMP   := $(VENV)/.installed
SITE    := _build/html
CHAPTER ?=
# One thread a kernel: more threads than free cores make a training step many times slower.
export OMP_NUM_THREADS ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# the chapters that load CIFAR-10 or Caltech-101: run a second time without any data
DATA_CHAPTERS = $(shell grep -lE 'data\.(cifar10|caltech101)|import [^"]*(cifar10|caltech101)' notebooks/*.ipynb)

.PHONY: help install book test test-offline lint format lab execute bench screenshot clean
.DEFAULT_GOAL := help

help:
	@echo 'make book             install into .venv and build the site (a second run takes seconds)'
	@echo 'make test             every check: lint, tests, all chapters executed, the built site'
	@echo 'make lab              open the chapters in JupyterLab'
	@echo 'make execute          re-execute chapters and store their outputs (CHAPTER=03 for one)'
	@echo 'make test-offline     the chapters that load data, without data and without network'
	@echo 'make lint, format     what ruff says; let ruff put it right'
	@echo 'make bench            run the benchmarks, tables to benchmarks/'
	@echo 'make screenshot       draw the picture in the README again'
	@echo 'make clean            remove the built site'

$(STAMP): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo 'Python 3.11 is needed: https://www.python.org/downloads/'; exit 1; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -r requirements.txt
	@touch $@

install: $(STAMP)

book: $(STAMP)
	@# a build that failed is forgotten: the next one would not repeat the warnings of pages it keeps
	$(BIN)/jupyter-book build -W -n --keep-going . || { rm -rf _build; exit 1; }
	@echo
	@echo 'The book: open $(CURDIR)/$(SITE)/index.html in your browser.'

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: lint
	$(PY) -m pytest tests
	$(PY) -m pytest --nbval-lax --nbval-cell-timeout=900 -p no:cacheprovider notebooks
	@echo
	@echo 'All checks passed: lint, package, site, and every chapter executed.'

test-offline: $(STAMP)
	@test -n "$(DATA_CHAPTERS)" || echo 'No chapter loads data yet.'
	home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && \
	test -z "$(DATA_CHAPTERS)" || INSIDE_CNNS_HOME="$$home" INSIDE_CNNS_OFFLINE=1 \
	    $(PY) -m pytest --nbval-lax --nbval-cell-timeout=900 -p no:cacheprovider $(DATA_CHAPTERS)

lab: $(STAMP)
	env -u OMP_NUM_THREADS $(BIN)/jupyter lab notebooks

execute: $(STAMP)
	$(PY) tools/execute.py $(CHAPTER)

bench: $(STAMP)
	@for script in benchmarks/bench_*.py; do echo "$$script" && env -u OMP_NUM_THREADS $(PY) $$script || exit 1; done

screenshot: book
	$(PY) tools/screenshot.py

clean:
	rm -rf _build
