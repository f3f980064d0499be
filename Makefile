# Every target sets up what it needs. A machine needs git, make and Python 3.11 or newer.
PYTHON ?= python3
export PYTHON
# Tests start the target hundreds of times; without compiled files each start takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help
help:
	@echo 'make demo        run Meltano, a tap and this target against a local Kissmetrics, and check the result'
	@echo 'make example NAME=orders    run one of examples/ the same way'
	@echo 'make test        run all tests'
	@echo 'make test-fast   run the tests that need no Meltano, browser or database server (one minute)'
	@echo 'make coverage    measure coverage of mapping, sync, store and kissmetrics; fails below 95 %'
	@echo 'make wheel-test  build the wheel and run the fast tests against it'
	@echo 'make soak        kill the target hundreds of times and check that nothing is lost or repeated (ten minutes)'
	@echo 'make hostile     send 1,000,000 messages that no honest tap writes (half an hour)'
	@echo 'make lint        check style and types'
	@echo 'make format      fix style'
	@echo 'make bench       compare the speed with the official client and with an SDK target that does nothing (ten minutes)'
	@echo 'make bench-drt   compare the speed with drt, a reverse ETL tool'
	@echo 'make docs        build the documentation into site/'
	@echo 'make docs-serve  show the documentation at http://127.0.0.1:8000 while you write'
	@echo 'make generated   write the reference tables and the plugin definition from the code'
	@echo 'make clean       remove what these targets made'

# Tests

# A file's tests share fixtures, so each worker gets whole groups; the longest groups start first.
XDIST ?= -n auto --dist loadgroup
FAST = not e2e and not browser and not postgres and not slow

.PHONY: test test-fast coverage wheel-test soak hostile
test: .venv/.ready .venv-meltano/.ready
	@.venv/bin/python -m pytest $(XDIST)

test-fast: .venv/.ready
	@.venv/bin/python -m pytest $(XDIST) -m '$(FAST)'

# The tests that reach these packages, in this process or in one that coverage follows.
coverage: .venv/.ready
	@.venv/bin/python -m pytest $(XDIST) tests/mapping tests/sync tests/store tests/kissmetrics \
	  tests/test_sinks.py tests/test_hostile_input.py tests/test_files_delivery.py tests/test_target.py --cov

wheel-test: .venv/.ready
	@.venv/bin/python scripts/wheel_test.py -m '$(FAST)' $(XDIST)

soak: .venv/.ready
	@.venv/bin/python tests/faults/soak.py

hostile: .venv/.ready
	@.venv/bin/python tests/faults/hostile_messages.py

# Style

.PHONY: lint format
lint: .venv/.ready
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

format: .venv/.ready
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

# To look at

.PHONY: demo example example-named bench bench-drt docs docs-serve
demo: .venv/.ready .venv-meltano/.ready
	@.venv/bin/python scripts/demo.py

example: example-named .venv/.ready .venv-meltano/.ready
	@.venv/bin/python scripts/example.py '$(NAME)'

# Checked before the set-up, which takes a while.
example-named:
	@test -n '$(NAME)' -a -f 'examples/$(NAME)/meltano.yml' || { \
	  echo 'name an example, such as: make example NAME=orders'; \
	  echo "examples: $$(ls examples/*/meltano.yml | cut -d/ -f2 | paste -s -d' ' -)"; exit 2; } >&2

bench: .venv/.ready .venv-benchmarks/.ready
	@.venv/bin/python benchmarks/bench.py

bench-drt: .venv/.ready .venv-benchmarks-drt/.ready
	@.venv/bin/python benchmarks/bench.py --only drt

docs: .venv-docs/.ready
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo 'open site/index.html'

docs-serve: .venv-docs/.ready
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs serve --strict

# Environments

.PHONY: clean
clean:
	rm -rf site dist .venv .venv-meltano .venv-benchmarks .venv-benchmarks-drt .venv-docs .demo .cache
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage

.venv/.ready: pyproject.toml scripts/set-up
	@scripts/set-up .venv --group dev --editable '.[curl,parquet,postgres,s3,sandbox]'

# Separate: the official client needs an older urllib3 than requests does.
.venv-benchmarks/.ready: Makefile scripts/set-up
	@scripts/set-up .venv-benchmarks 'py-KISSmetrics==1.1.*'

# Separate: its pins are its own.
.venv-benchmarks-drt/.ready: Makefile scripts/set-up
	@scripts/set-up .venv-benchmarks-drt 'drt-core[duckdb]==1.2.*'

# Separate: neither users nor tests need it.
.venv-docs/.ready: pyproject.toml scripts/set-up
	@scripts/set-up .venv-docs --group docs

# Separate: Meltano's pins may conflict with the target's.
.venv-meltano/.ready: Makefile scripts/set-up
	@scripts/set-up .venv-meltano 'meltano==4.4.*'

.PHONY: generated generated-check
generated: .venv/.ready
	@.venv/bin/python scripts/reference_tables.py
	@.venv/bin/python scripts/plugin_definition.py

generated-check: generated
	@git diff --exit-code --stat -- docs target-kissmetrics.yml .env.example hub || \
	  { echo 'generated files are out of date: run make generated, and commit them'; exit 1; } >&2
