# Everything is installed into .venv once; a later run starts at once. PYTHON= chooses the
# interpreter, VENV= the folder. `make` alone lists the targets: the comments after ##.

PYTHON ?= python3
VENV ?= .venv
TRAINING ?=
WORKERS ?= 2
OUT ?= runs
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Child processes must find the share files of a pip installation (README, Install).
export AMENT_PREFIX_PATH := $(abspath $(VENV))$(if $(AMENT_PREFIX_PATH),:$(AMENT_PREFIX_PATH))
# Containers often say so. Then every program would compile every module again as it starts.
unexport PYTHONDONTWRITEBYTECODE
# The tests of training/ need torch.
IGNORED := $(if $(TRAINING),,--ignore=test/training --ignore=test/export)

.PHONY: help mimic setup test lint docs site bench faults train clean
.DELETE_ON_ERROR:

help: ## list the targets
	@echo 'make TARGET [NAME=value …]'
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' Makefile

mimic: $(VENV)/.installed ## let the head mimic a face [SOURCE= ROBOT= PORT= RECORD= ARGS=]
	$(BIN)/kf_imitation mimic $(if $(SOURCE),--source '$(SOURCE)') $(if $(ROBOT),--robot '$(ROBOT)') \
	    $(if $(PORT),--port '$(PORT)') $(if $(RECORD),--record '$(RECORD)') $(ARGS)

setup: $(VENV)/.installed ## install everything that mimic needs

test: $(VENV)/.tested $(if $(TRAINING),$(VENV)/.trained) ## run the tests [TRAINING=1 for those of training/ too, ARGS=]
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --reruns 1 $(IGNORED) $(ARGS)

lint: $(VENV)/.tested ## check style, types, import contracts and dead code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/vulture

docs: $(VENV)/.tested ## draw anew what pages take from the code
	$(BIN)/python -m benchmark.architecture
	$(BIN)/python -m benchmark.commands
	$(BIN)/python -m benchmark.robot_file
	$(BIN)/python -m benchmark.topics
	$(BIN)/python -m kf_imitation.parameters

site: $(VENV)/.tested ## build the documentation as pages in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

bench: $(VENV)/.tested ## how fast the head is on this machine, in 6 minutes [ARGS=]
	$(BIN)/python -m benchmark.speed $(ARGS)

faults: $(VENV)/.tested ## inject every fault and write the table of docs/safety.md [ARGS=]
	$(BIN)/python -m benchmark.faults --markdown docs/safety.md $(ARGS)

train: $(VENV)/.trained ## train the keyframe models [CLIPS= LABELS= MINUTES=120 OUT=runs FACES=FILE|none INSTALL=1 ARGS=]
	$(BIN)/python -m training.keyframe.train.recipe $(if $(MINUTES),--minutes '$(MINUTES)') --out '$(OUT)' \
	    $(if $(CLIPS),--clips '$(CLIPS)') $(if $(LABELS),--labels '$(LABELS)') \
	    $(if $(FACES),--faces '$(FACES)') $(if $(filter 1,$(INSTALL)),--install) $(ARGS)

$(VENV)/bin/python:
	@echo 'installing 1 of 3: a Python environment in $(VENV) (seconds)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.py setup.cfg package.xml | $(VENV)/bin/python
	@echo 'installing 2 of 3: what builds the package (seconds)'
	@$(PIP) install --quiet 'setuptools>=68,<80' wheel
	@echo 'installing 3 of 3: the package, ROS 2 and its libraries (500 MB on disk, one to a few minutes)'
	@$(PIP) install --quiet --no-build-isolation --editable '.[ros]'
	@touch $@
	@echo 'installed; from now on it starts at once'

$(VENV)/.tested: $(VENV)/.installed
	$(PIP) install --quiet --no-build-isolation --editable '.[ros,test,docs]'
	@for extra in browser foxglove; do \
	    $(PIP) install --quiet --no-build-isolation --editable ".[$$extra]" \
	        || echo "The extra $$extra cannot be installed here: its tests will be skipped"; done
	@touch $@

$(VENV)/.trained: training/requirements.txt training/constraints.txt $(VENV)/.tested
	$(PIP) install --quiet --requirement training/requirements.txt --constraint training/constraints.txt
	@touch $@

clean: ## remove .venv and caches
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
