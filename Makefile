# Every target first creates what it needs (.venv with the tested versions), once.
PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready
LOWEST := .venv-min/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-min smoke docs bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv and install the package with its tools

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(READY) ## fit the network to a lens in four ways and compare (4 to 5 minutes on two cores): outputs/demo/report.html
	$(BIN)/python -m jdrl_lightning.demo

smoke: $(READY) ## a complete training in half a minute
	$(BIN)/python -m jdrl_lightning.train experiment=smoke

test: $(READY) ## ruff, mypy and the test suite
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-min: $(LOWEST) ## the test suite on the lowest versions that pyproject.toml allows
	.venv-min/bin/python -m pytest -n 2 --dist loadfile

$(LOWEST): pyproject.toml
	$(PYTHON) -m venv --clear .venv-min
	.venv-min/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv-min/bin/uv pip install --quiet --python .venv-min --resolution lowest-direct -e '.[dev,litdata,tensorboard]'
	touch $@

docs: $(READY) ## the documentation as a site: build/site/index.html
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(READY) ## benchmark the reblurring operator and the flow estimator against their references
	$(BIN)/python benchmarks/reblur_operator.py
	$(BIN)/python benchmarks/flow.py

clean: ## remove the environments and everything built or trained here
	rm -rf .venv .venv-min build dist outputs multirun .cache .mypy_cache .pytest_cache .ruff_cache
