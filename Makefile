# Set-up and the main jobs; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
# with one scale, as the row has it, so few epochs end at 1.6 to 2.4 %
SHORT := trainer.max_epochs=60 model.num_scales=2
# threads that wait by spinning make a step many times slower where anything else runs
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: help train test test-slow test-gpu lint results gallery site clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

train: .venv/train  ## install what is needed and train RAM on the digits that ship with the project
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python scripts/train.py experiment=ram/mnist28_6 $(SHORT) $(ARGS)

test: .venv/dev  ## install what is needed and run the tests (at most six minutes on two idle cores)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

test-slow: .venv/dev  ## the tests that take longer; a release runs them
	$(BIN)/python -m pytest -m slow $(ARGS)

test-gpu: .venv/dev  ## what only a CUDA device can show; skipped without one
	$(BIN)/python -m pytest -m gpu $(ARGS)

lint: .venv/dev  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

results: .venv/train  ## write the tables of the READMEs and the heads of the experiments from zoo/models/*/results.yaml
	$(BIN)/python scripts/results.py

gallery: .venv/dev  ## a page in the browser on which all released models answer
	$(BIN)/python scripts/gallery.py $(ARGS)

site: .venv/dev  ## the cards, with pages to look at attention, as a static site in site/
	$(BIN)/python scripts/pages.py site

clean:  ## remove the environment
	rm -rf .venv

.venv/pip:
	$(PYTHON) -m venv .venv
	touch $@

.venv/train: .venv/pip pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

.venv/dev: .venv/pip pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@ .venv/train
