# The three things people do here: see it work, test it, measure it.
PYTHON ?= python3
VENV   ?= .venv
RUN     = $(VENV)/bin/python
PIP     = $(VENV)/bin/pip --disable-pip-version-check --quiet

.PHONY: demo test lint bench chaos clean

demo: $(VENV)/demo            ## count the identifiers of the standard library on worker processes; kill one; check the totals
	$(RUN) examples/word_count.py --kill --verify

test: $(VENV)/test            ## run all tests
	$(RUN) -m pytest

lint: $(VENV)/lint            ## ruff and mypy --strict over both packages and the examples
	$(RUN) -m ruff check .
	$(RUN) -m mypy --strict mq actors examples/*.py

bench: $(VENV)/test           ## ours against libzmq, in turns, as ratios
	$(RUN) -m bench

chaos: $(VENV)/test           ## ten minutes of random starts, stops, crashes and calls in a tree of actors
	$(RUN) -m tests.actors.chaos --seconds 600

$(RUN):
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Ensemble needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ": run make PYTHON=python3.12 (or newer)")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo: $(RUN) pyproject.toml
	$(PIP) install --editable .
	@touch $@

$(VENV)/test: $(RUN) pyproject.toml
	$(PIP) install --editable '.[test]'
	@touch $@

$(VENV)/lint: $(VENV)/test
	$(PIP) install --editable '.[test,lint]'
	@touch $@

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
