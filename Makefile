# Every target does its own set-up: git, make and Python 3.10 or newer are all that a machine needs.
PYTHON ?= python3
export PYTHON
# The target is started by the hundred: what Python has compiled is kept, or each start takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo example example-named test soak lint format bench clean

help:
	@echo 'make demo    run the main job with Meltano against a local Kissmetrics, and check what it holds afterwards'
	@echo 'make example NAME=orders    run one of examples/ the same way'
	@echo 'make test    run all tests (PYTEST_ADDOPTS="-m not\ e2e" leaves out those with Meltano)'
	@echo 'make soak    kill the target at random moments, hundreds of times, and check that nothing is lost or repeated'
	@echo 'make lint    check style and types'
	@echo 'make format  mend what can be mended of the style'
	@echo 'make bench   measure this target beside the official client and an SDK target that does nothing'
	@echo 'make docs    build the documentation into site/, which opens without a server and without a network'
	@echo 'make docs-serve  show it at http://127.0.0.1:8000, built again with each change'
	@echo 'make clean   remove what these targets made'

demo: .venv/.ready .venv-meltano/.ready
	@.venv/bin/python scripts/demo.py

example: example-named .venv/.ready .venv-meltano/.ready
	@.venv/bin/python scripts/example.py '$(NAME)'

# First, so that nobody waits for a set-up to learn of it.
example-named:
	@test -n '$(NAME)' -a -f 'examples/$(NAME)/meltano.yml' || { \
	  echo 'say which one, such as: make example NAME=orders'; \
	  echo "there are: $$(ls examples/*/meltano.yml | cut -d/ -f2 | paste -s -d' ' -)"; exit 2; } >&2

test: .venv/.ready .venv-meltano/.ready
	@.venv/bin/python -m pytest

soak: .venv/.ready
	@.venv/bin/python tests/faults/soak.py

lint: .venv/.ready
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

format: .venv/.ready
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

bench: .venv/.ready .venv-benchmarks/.ready
	@.venv/bin/python benchmarks/bench.py

.PHONY: docs docs-serve
docs: .venv-docs/.ready
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict
	@echo 'open site/index.html'

docs-serve: .venv-docs/.ready
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs serve --strict

clean:
	rm -rf site .venv .venv-meltano .venv-benchmarks .venv-docs .demo .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

.venv/.ready: pyproject.toml scripts/set-up
	@scripts/set-up .venv --group dev --editable '.[curl,parquet,postgres,s3,sandbox]'

# An environment of its own: the official client wants an older urllib3 than requests does.
.venv-benchmarks/.ready: Makefile scripts/set-up
	@scripts/set-up .venv-benchmarks 'py-KISSmetrics==1.1.*'

# An environment of its own: whoever tests or runs the target needs nothing of it.
.venv-docs/.ready: pyproject.toml scripts/set-up
	@scripts/set-up .venv-docs --group docs

# An environment of its own: Meltano's pins need not agree with the target's.
.venv-meltano/.ready: Makefile scripts/set-up
	@scripts/set-up .venv-meltano 'meltano==4.4.*'
