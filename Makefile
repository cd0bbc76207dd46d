# Everything one types here. A fresh machine needs Python >= 3.11 and make; the rest is set up in .venv, once.
#
# The lock is binder/requirements.txt: what Binder, CI and this file install is then one and the same list. It holds
# every package with its hashes and names no registry, so pip takes them from wherever this machine's pip is pointed at.

PYTHON ?= python3
LOCK := binder/requirements.txt
BIN := .venv/bin
READY := .venv/.ready
UNFINISHED := .venv/.unfinished
PIP := $(BIN)/python -m pip --disable-pip-version-check
NPM := $(BIN)/python js/hatch_build.py
EXTENSION := .venv/.extension
EXTENSION_SOURCES := js/package.json js/package-lock.json js/hatch_build.py js/bundle-widget.mjs \
  $(wildcard js/tsconfig*.json) \
  $(shell find js/src js/style -type f)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lab bench soak lint format extension lessons lock setup

## Show what can be made.
help:
	@awk '/^## / { text = substr($$0, 4); next } \
	      /^[a-z]+:/ && text { name = $$1; sub(/:.*/, "", name); printf "  make %-9s %s\n", name, text } \
	      { text = "" }' $(firstword $(MAKEFILE_LIST))

## Run the flights notebook for July, headless, and print its answer.
demo: $(READY)
	@$(BIN)/flowbook run notebooks/flights.ipynb -p month=7

## Check everything: lint, then the tests (not the soak tests).
test: lint $(EXTENSION)
	$(NPM) test
	$(BIN)/python -m pytest -m "not soak"

## Open the notebooks in JupyterLab, on this machine only.
lab: $(EXTENSION)
	$(BIN)/jupyter lab --ip=127.0.0.1 --ServerApp.root_dir=notebooks \
	  --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate \
	  $(if $(filter 0,$(shell id -u)),--allow-root)

## Execute the lessons and store them with what they show.
lessons: $(READY)
	@for lesson in notebooks/*.ipynb; do $(BIN)/flowbook run $$lesson --inplace || exit 1; done

## Measure the engine beside plain Python and its peers, and the canvas in JupyterLab.
bench: $(EXTENSION)
	@HATCH_JUPYTER_BUILDER_SKIP_NPM=1 $(PIP) install -qq --no-build-isolation --editable ".[bench]"
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.data_plane
	$(BIN)/python -m tests.bench.transport
	$(BIN)/python -m tests.bench.browser

## Run the long tests, and the property tests with many more examples, others every time.
soak: $(EXTENSION)
	$(BIN)/python -m pytest -m "soak or hypothesis" --hypothesis-profile=soak -o faulthandler_timeout=7200

## Check style, types and the rules of who may import whom, in Python and in TypeScript.
lint: $(EXTENSION)
	$(NPM) lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

## Let ruff and Biome repair what they can and lay the code out.
format: $(EXTENSION)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(NPM) format

## Build the JupyterLab extension (the other targets do it by themselves when needed).
extension: $(EXTENSION)

## Write the lock anew from pyproject.toml, with the newest versions that fit.
lock: $(READY)
	$(PIP) install --quiet "uv>=0.9"
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
	  --generate-hashes --no-header --no-annotate --output-file $(LOCK) pyproject.toml

## Set up .venv (the other targets do it by themselves when needed).
setup: $(READY)

# The stamp is written last and a set-up under way is marked: an interrupted one is begun anew, for pip takes a half
# unpacked package for an installed one. A virtual environment that somebody made by hand is only added to.
$(READY): pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "flowbook needs Python 3.11 or newer, and '$(PYTHON)' is not one. Name yours, like this:"; \
	  echo "  make $(or $(MAKECMDGOALS),setup) PYTHON=python3.12"; exit 2; }
	@if [ -e $(UNFINISHED) ]; then find .venv -mindepth 1 -maxdepth 1 ! -name .unfinished -exec rm -rf {} +; fi
	@echo "Setting up .venv; this takes a minute or two, once."
	@mkdir -p .venv && touch $(UNFINISHED)
	@$(PYTHON) -m venv .venv
	@$(PIP) install -qq --progress-bar off --require-hashes --requirement $(LOCK)
	@HATCH_JUPYTER_BUILDER_SKIP_NPM=1 $(PIP) install -qq --no-deps --no-build-isolation --editable .
	@touch $@ && rm $(UNFINISHED)

# JupyterLab finds the extension by a link, so a new build is there with the next reload of the page. On a machine whose
# node is missing or too old, node comes from the package index like everything else.
$(EXTENSION): $(READY) $(EXTENSION_SOURCES)
	@$(NPM) --has-node || $(PIP) install -qq --progress-bar off --require-hashes --requirement js/requirements.txt
	@echo "Building the JupyterLab extension; the first time this takes a minute or two."
	@$(NPM)
	@mkdir -p .venv/share/jupyter/labextensions && rm -rf .venv/share/jupyter/labextensions/flowbook
	@ln -s "$(CURDIR)/flowbook/labextension" .venv/share/jupyter/labextensions/flowbook
	@touch $@
