# Everything runs in .venv, which `setup` makes: Python 3.10+ and make are all that a machine needs.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: setup page browser demo quick test test-slow lint bench clean

setup: .venv/installed

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# torch first and by itself: its exact version decides between a CPU build and gigabytes of CUDA.
.venv/installed-demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) torch
	$(INSTALL) -e ".[demo]"
	touch $@

# One environment for both: what tests, checks and benchmarks need comes on top of what the demo needs.
.venv/installed: .venv/installed-demo
	$(INSTALL) -e ".[demo,dev]"
	touch $@

# The page is rebuilt only when web/ has changed.
page: setup
	$(BIN)/python hatch_build.py

# What tests need that is no Python: a Chromium and a font. They skip without, so this never fails.
browser: setup
	$(BIN)/python -m tests.get_browser

demo: .venv/installed-demo
	$(BIN)/python hatch_build.py
	$(BIN)/vu demo --out demo $(ARGS)

# A process a core, each with the tests of whole files and one thread: nearly all of them compute on one core.
TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile

# The files that are done in two minutes on two cores and still pass through every room.
quick: setup
	$(TEST) -m "not slow" @tests/quick.txt $(ARGS)

test: page browser
	$(TEST) -m "not slow" $(ARGS)

test-slow: page browser
	$(TEST) -m slow $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: page
	$(BIN)/python -m benchmarks.losses $(ARGS)
	$(BIN)/python -m benchmarks.collapse $(ARGS)
	$(BIN)/python -m benchmarks.demo $(ARGS)
	$(BIN)/python -m benchmarks.adaptation $(ARGS)
	$(BIN)/python -m benchmarks.data $(ARGS)
	$(BIN)/python -m benchmarks.efficiency $(ARGS)
	$(BIN)/python -m benchmarks.embedding $(ARGS)
	$(BIN)/python -m benchmarks.evaluation $(ARGS)
	$(BIN)/python -m benchmarks.fusion $(ARGS)
	$(BIN)/python -m benchmarks.generated_pairs $(ARGS)
	$(BIN)/python -m benchmarks.generator $(ARGS)
	$(BIN)/python -m benchmarks.incremental $(ARGS)
	$(BIN)/python -m benchmarks.objectives $(ARGS)
	$(BIN)/python -m benchmarks.page $(ARGS)
	$(BIN)/python -m benchmarks.search $(ARGS)
	$(BIN)/python -m benchmarks.serving $(ARGS)
	$(BIN)/python -m benchmarks.training $(ARGS)

clean:
	rm -rf .venv demo src/vector_universe/serve/static web/node_modules
