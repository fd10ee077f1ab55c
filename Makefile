# `make dataset` and `make test` are the two commands a newcomer needs; each sets up .venv by itself.
PYTHON ?= python3
BIN := .venv/bin
DOCUMENTS := README.md docs/problems.md docs/segment.md docs/versions.md

.PHONY: dataset test test-slow test-faults lint check docs dist lock clean

dataset: .venv/ready            ## build dataset/release from dataset/source and dataset/annotations
	$(BIN)/broadsheet build dataset

test: .venv/ready               ## run the tests
	$(BIN)/pytest

test-slow: .venv/ready          ## run the tests that take long, or install the package anew (they need the package registry)
	$(BIN)/pytest -m slow

test-faults: .venv/ready        ## run the tests in which system calls fail and disks are full (they need strace, and the right to mount)
	-sh scripts/debian.sh strace
	$(BIN)/pytest -n 2 -m faults

lint: .venv/ready               ## linters, types, and the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check: .venv/ready              ## the dataset's folder, the release, and the documents that quote output
	$(BIN)/broadsheet check dataset
	$(BIN)/broadsheet check dataset/release
	PYTHONPATH=. $(BIN)/cog --check --diff $(DOCUMENTS)

docs: .venv/ready               ## paste real output into README.md and docs/
	PYTHONPATH=. $(BIN)/cog -r $(DOCUMENTS)

dist: .venv/ready               ## build the sdist and the wheel into dist/; one commit, one set of bytes
	sh scripts/dist.sh $(BIN)/python dist

lock: .venv/ready               ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-header --upgrade --quiet --output-file requirements.lock >/dev/null

clean:                          ## remove what make made, the release excepted
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/ready: requirements.lock pyproject.toml scripts/bootstrap.sh
	sh scripts/bootstrap.sh $(PYTHON)
	touch $@
