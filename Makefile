# `make audit` and `make test` work from a fresh clone; both make .venv once and keep it.
SHELL := bash
PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
SOURCES := $(shell find oracle reference adapters reports -type f -not -path '*/__pycache__/*' -not -path 'reports/published/*') \
  pyproject.toml README.md
PIP := $(BIN)/pip install --quiet --constraint constraints.txt
# Tests run outside the checkout, so that `import oracle` can only mean the installed wheel.
OUTSIDE := cd "$$(mktemp -d)" &&
INSTALLED := $(BIN)/python -c 'import oracle, sys; sys.exit(not oracle.__file__.startswith(sys.prefix))'
PYTEST := $(INSTALLED) && $(BIN)/pytest --numprocesses 2 --dist loadfile --config-file $(CURDIR)/pyproject.toml --rootdir $(CURDIR) $(CURDIR)/tests

.PHONY: audit test test-full lint types bench chromium clean

audit: $(VENV)/.all $(VENV)/.wheel  ## How accurate is every operation of every installed framework?
	$(BIN)/oracle audit --quick

test: $(VENV)/.test $(VENV)/.wheel lint types chromium  ## The default suite, against the installed wheel.
	$(OUTSIDE) $(PYTEST) -m "not slow"

test-full: $(VENV)/.test $(VENV)/.wheel lint types chromium  ## With the exhaustive and long tests.
	$(OUTSIDE) $(PYTEST)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test $(VENV)/.wheel
	$(OUTSIDE) $(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --package oracle \
	  --cache-dir $(CURDIR)/.mypy_cache

bench: $(VENV)/.all $(VENV)/.wheel  ## Ratios measured side by side in one run.
	$(OUTSIDE) for script in truth networks; do $(BIN)/python $(CURDIR)/benchmarks/$$script.py; done

chromium:
	@command -v chromium chromium-browser google-chrome >/dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq chromium; } \
	  || echo "no Chromium here and no way to install it: the browser tests will be skipped"

$(VENV)/.python:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.all: $(VENV)/.python pyproject.toml constraints.txt
	$(PIP) '.[all]'
	touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml constraints.txt
	$(PIP) '.[test]'
	touch $@

# After the dependencies: their step installs the project too, and the wheel must be the last word.
$(VENV)/.wheel: $(SOURCES) | $(VENV)/.python
	rm -rf build dist
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/pip install --quiet --no-deps --force-reinstall dist/*.whl
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
