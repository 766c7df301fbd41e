# Fleetline. The four commands people use: make up, make test, make check, make bench.
# PYTHON names the interpreter the virtual environment is made from (3.11 or newer).
PYTHON ?= python3
ARGS ?=
# Tests mostly wait for processes, so three at a time fit two cores. Some ask for answers in time;
# what fails beside another test must pass alone.
JOBS ?= 3
BIN := .venv/bin

.PHONY: up test test-cluster check bench bench-plans chaos house observe roads format clean
.DEFAULT_GOAL := up

up: .venv/run.stamp
	@exec $(BIN)/fleetline up $(ARGS)

test: .venv/dev.stamp
	@$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS) || { \
	  status=$$?; [ $$status = 1 ] || exit $$status; \
	  echo "what failed beside other tests is tried once more, alone"; \
	  $(BIN)/pytest --last-failed --last-failed-no-failures none $(ARGS); }

# On a Redis Cluster whatever can run on one: all of ingest, tracking and faults.
test-cluster: .venv/dev.stamp
	@$(BIN)/pytest --cluster -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/dev.stamp
	$(BIN)/python -m bench $(ARGS)

# How good plans are: ARGS is a folder of published instances.
bench-plans: .venv/dev.stamp
	$(BIN)/python -m bench.plans $(ARGS)

chaos: .venv/dev.stamp
	$(BIN)/python -m tests.faults.chaos $(ARGS)

# The drawing in docs/architecture.md.
house: .venv/dev.stamp
	$(BIN)/python -m tests.house

# docs/metrics.md, and the dashboards in deploy/grafana.
observe: .venv/dev.stamp
	$(BIN)/python -m deploy.observe.metrics_page
	$(BIN)/python -m deploy.observe.dashboards

# The road engine's programs (OSRM). Their wheel is for Python 3.12, they run beside any.
roads: .venv/roads.stamp

clean:
	rm -rf .venv

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: $(PYTHON) is missing or older than 3.11; set PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "make: $(PYTHON) cannot make a virtual environment (Debian: apt install python3-venv)" >&2; exit 1; }

# Hash-checked installs from the lock files; the project itself is linked, not copied.
.venv/run.stamp: .venv/pyvenv.cfg requirements/run.lock pyproject.toml
	@echo "installing into .venv (first use or changed lock; about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/roads.stamp: .venv/run.stamp requirements/roads.lock
	@echo "installing the road engine into .venv/share"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade \
	  --target .venv/share/fleetline-osrm --python-version 3.12 --only-binary=:all: --no-deps \
	  --require-hashes -r requirements/roads.lock
	@touch $@

.venv/dev.stamp: .venv/run.stamp .venv/roads.stamp requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@
