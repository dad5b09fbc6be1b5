# The first of these that is Python 3.11 or later makes the environment.
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11
VENV := .venv
RUN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test test-compiled lint lint-versions bench worth worth-table lowest clean

demo: $(VENV)/installed
	$(RUN)/uota demo --out runs/demo

# Each of the two processes of the tests has a core; more threads would only wait for each other.
test: export OMP_NUM_THREADS = 1
test: lint
	$(RUN)/python -m pytest tests -n 2 --dist loadfile

# What takes a C++ compiler minutes.
test-compiled: $(VENV)/installed
	$(RUN)/python -m pytest tests -m compiler

lint: $(VENV)/installed
	$(RUN)/ruff check src tests benchmarks examples tools
	$(RUN)/ruff format --check src tests benchmarks examples tools
	$(RUN)/mypy

# What 3.12 and later removed or deprecate, and whether everything the package needs installs there without a compiler.
lint-versions: $(VENV)/installed
	$(RUN)/ruff check --target-version py314 --select E9,F,UP,YTT,DTZ003,DTZ004 --ignore F722,UP037,UP040,UP046,UP047 src tests benchmarks examples tools
	for version in 3.11 3.12 3.13 3.14; do $(RUN)/mypy --python-version $$version --enable-error-code deprecated || exit 1; done
	$(RUN)/python tools/resolve_wheels.py

# Made again only when the dependencies change; the package itself is installed editable.
$(VENV)/installed: pyproject.toml
	test -x $(RUN)/python || { python=$$(tools/find_python.sh $(PYTHON)) && "$$python" -m venv $(VENV); }
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
	python=$$(tools/find_python.sh $(PYTHON)) && "$$python" -m venv $(VENV)-lowest
	$(VENV)-lowest/bin/python tools/lower_bounds.py > $(VENV)-lowest/constraints.txt
	$(VENV)-lowest/bin/python -m pip install --quiet --editable '.[dev]' --constraint $(VENV)-lowest/constraints.txt
	$(VENV)-lowest/bin/python -m pytest tests -W ignore::DeprecationWarning

clean:
	rm -rf $(VENV) $(VENV)-lowest runs
