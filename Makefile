PYTHON ?= python3.11
VENV := .venv
RUN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test lint bench worth worth-table lowest clean

demo: $(VENV)/installed
	$(RUN)/uota demo --out runs/demo

test: lint
	$(RUN)/python -m pytest tests -n 2 --dist loadfile

lint: $(VENV)/installed
	$(RUN)/ruff check src tests benchmarks examples tools
	$(RUN)/ruff format --check src tests benchmarks examples tools
	$(RUN)/mypy

# Made again only when the dependencies change; the package itself is installed editable.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# The list of benchmarks, with what each shows and how long it takes.
bench: $(VENV)/installed
	@$(RUN)/python -m benchmarks

# Goes on where it stopped; 8 hours in all.
worth: $(VENV)/installed
	$(RUN)/python -m benchmarks.worth

worth-table: $(VENV)/installed
	$(RUN)/python -m benchmarks.worth.table

# The tests with the oldest releases that pyproject.toml allows; what those deprecate among themselves is not ours.
lowest:
	$(PYTHON) -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python tools/lower_bounds.py > $(VENV)-lowest/constraints.txt
	$(VENV)-lowest/bin/python -m pip install --quiet --editable '.[dev]' --constraint $(VENV)-lowest/constraints.txt
	$(VENV)-lowest/bin/python -m pytest tests -W ignore::DeprecationWarning

clean:
	rm -rf $(VENV) $(VENV)-lowest runs
