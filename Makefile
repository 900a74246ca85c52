# Two commands matter: `make book` and `make test`. Each makes the environment first if it must.
#
#   make book [SCALE=lab|smoke]   regenerate tables, execute notebooks, build the site
#   make test                     lint, then every test
#   make test-numerics            the tests of numbers, as another processor would run them
#   make lab                      JupyterLab on the book
#   make reproduce [SCALE=lab]    train what is missing or stale, after saying what it costs
#   make bench                    speed and memory, as ratios against a peer
#   make dist                     wheel and source archive, each installed and tried elsewhere
#   make gpu-wheels               what benchmarks/gpu/run.sh needs on a machine without network
#   make lint | setup | constraints | clean | clean-venv
#
# PYTHON chooses the interpreter the environment is made from, VENV where it lies.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

SCALE ?= lab
WORKERS ?= 2
VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	echo $$p && break; done)
BIN := $(VENV)/bin
STAMP := $(VENV)/.wsis-setup

# Each test worker and each notebook gets one core's worth of threads: two workers that both
# ask for every core are slower than either alone.
export OMP_NUM_THREADS ?= 1
# The kernel of this environment, not one of the same name in the reader's home.
export JUPYTER_PREFER_ENV_PATH := 1
export JUPYTER_PLATFORM_DIRS := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1

.PHONY: help setup lint test test-numerics book lab reproduce bench dist gpu-wheels \
	constraints clean clean-venv

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or newer found. Install one, or name it: make setup PYTHON=/path/to/python3" >&2; \
		exit 1; fi
	@if [ ! -x $(BIN)/python ]; then \
		echo "Making $(VENV) with $$($(PYTHON) --version)"; \
		$(PYTHON) -m venv $(VENV) || { \
			echo "$(PYTHON) cannot make an environment; on Debian and Ubuntu: apt install python3-venv" >&2; \
			exit 1; }; fi
	@echo "Installing the library and its tested companions (about 5 GB with PyTorch, once)"
	$(BIN)/python -m pip install --disable-pip-version-check --quiet \
		--editable '.[book,dev,batch,photos]' --constraint constraints.txt
	$(BIN)/python -m ipykernel install --sys-prefix --name python3 --display-name "Python (wsis)"
	@touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# pytest speaks last: its closing line is the verdict.
test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --session-timeout 900 -q

# A second pass under other instructions and another number of threads: what asks two computations
# for equal bits that another machine does not give fails here, not there. Each library has its own
# variable: PyTorch's kernels, oneDNN (convolutions, bf16), MKL and OpenBLAS (matrix products of
# PyTorch and of NumPy), NumPy, OpenCV. Where a variable is unknown (Arm) it changes nothing; NumPy
# warns of names that its version does not know, and tests turn warnings into errors. Threads that
# wait must sleep, as there are more of them than cores.
OTHER_CPU := OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive \
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE \
	OPENBLAS_CORETYPE=Nehalem OPENCV_CPU_DISABLE=AVX512-SKX,AVX2,AVX,FP16 \
	NPY_DISABLE_CPU_FEATURES="AVX512_ICL X86_V4 X86_V3"
NUMERIC_TESTS := $(addprefix tests/,models losses engine data labels golden test_matching.py)
test-numerics: $(STAMP)
	$(OTHER_CPU) $(BIN)/python -m pytest $(NUMERIC_TESTS) -m "not slow" -n $(WORKERS) \
		--ignore-glob='*/test_validate_*' --ignore-glob='*/test_json_stream.py' \
		-W "ignore:During parsing environment variable:ImportWarning" \
		--dist worksteal --session-timeout 900 -q

# Runs that are committed are used; what is missing or stale is shown as such. Only at smoke
# scale, where a run takes seconds, is what is missing trained here. The old site stays until the
# new one is whole.
SITE := build/site/$(SCALE)
book: $(STAMP)
	rm -rf $(SITE) && mkdir -p $(SITE)
	@if [ $(SCALE) = smoke ]; then $(BIN)/wsis reproduce --scale smoke --yes --jobs $(WORKERS); fi
	$(BIN)/wsis tables --scale $(SCALE)
	$(BIN)/wsis notebooks --scale $(SCALE) --jobs $(WORKERS)
	cp -R book/. $(SITE)/source && rm -rf $(SITE)/source/_build $(SITE)/source/wsisbook
	cp -R build/book/. $(SITE)/source
	$(BIN)/wsis pages --scale $(SCALE) --output $(SITE)/source
	$(BIN)/jupyter-book build $(SITE)/source --config jupyter_book.yml --path-output $(SITE) \
		-W --keep-going --all --quiet > $(SITE)/sphinx.log
	$(BIN)/python tests/book/links.py $(SITE)/_build/html
	rm -rf book/_build && mv $(SITE)/_build book/_build
	@echo "The book is ready: open book/_build/html/index.html"

lab: $(STAMP)
	$(BIN)/jupyter lab --notebook-dir book --LabApp.default_url=/lab/tree/start_here.ipynb

reproduce: $(STAMP)
	$(BIN)/wsis reproduce --scale $(SCALE)

bench: $(STAMP)
	@for script in $$(grep -l '__main__' benchmarks/*.py); do echo "== $$script"; $(BIN)/python $$script; done

# A release: both archives, each installed into an empty environment and tried, outside this folder.
# Upload what lies in dist/ once this has ended well.
dist: $(STAMP)
	rm -rf dist build/dist && mkdir -p build/dist
	$(BIN)/python -m build --no-isolation --outdir dist . > build/dist/build.log
	@for archive in dist/*.whl dist/*.tar.gz; do \
		echo "-- trying $$archive"; \
		away=$$(mktemp -d) && mkdir "$$away/tried" && $(PYTHON) -m venv "$$away/venv" && \
		"$$away/venv/bin/python" -I -m pip install --disable-pip-version-check --quiet \
			--constraint constraints.txt "$$archive" && \
		(cd "$$away/tried" && env -u PYTHONPATH bash "$(CURDIR)/tests/smoke_installed.sh" \
			"$$away/venv/bin") || exit 1; \
		rm -rf "$$away"; \
	done
	@ls -l dist

gpu-wheels: $(STAMP)
	PYTHON=$(BIN)/python benchmarks/gpu/wheels.sh

# Pins for a fresh resolution of pyproject.toml; run the tests and the book before committing it.
constraints: $(STAMP)
	mkdir -p build
	$(BIN)/python -m pip install --quiet --dry-run --ignore-installed \
		--report build/resolution.json '.[book,dev,batch,photos]'
	$(BIN)/python -c 'import json; \
		names = ((i["metadata"]["name"], i["metadata"]["version"]) \
			for i in json.load(open("build/resolution.json"))["install"]); \
		print(*sorted(f"{n.lower()}=={v}" for n, v in names if n != "wsis-book"), sep="\n")' \
		> build/constraints.txt
	@echo "Written to build/constraints.txt; compare it with constraints.txt"

clean:
	rm -rf build book/_build .pytest_cache .ruff_cache .mypy_cache .hypothesis

clean-venv:
	rm -rf $(VENV)
