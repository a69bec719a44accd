# make mimic [SOURCE=… ROBOT=… PORT=… RECORD=… ARGS=…]   set up, then let the head mimic a face
# make test [TRAINING=1]                                  set up, then run the tests
# make lint               ruff and mypy
# make bench              time per frame, rate and jitter of the bus loop
# make faults             the fault matrix of docs/safety.md
# make train [CLIPS=DIR LABELS=DIR MINUTES=120 OUT=runs FACES=FILE|none INSTALL=1 ARGS=…]
#                         train the keyframe models end to end (docs/training.md)
# make clean              remove .venv and caches
# Everything is installed into .venv once; a later run starts at once. PYTHON= chooses the
# interpreter, VENV= the folder.

PYTHON ?= python3
VENV ?= .venv
TRAINING ?=
MINUTES ?= 120
OUT ?= runs
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Child processes must find the share files of a pip installation (README, Install).
export AMENT_PREFIX_PATH := $(abspath $(VENV))$(if $(AMENT_PREFIX_PATH),:$(AMENT_PREFIX_PATH))
# The tests of training/ need torch.
IGNORED := $(if $(TRAINING),,--ignore=test/training --ignore=test/export)

.PHONY: mimic test lint bench faults train setup clean
.DELETE_ON_ERROR:

mimic: $(VENV)/.installed
	$(BIN)/kf_imitation mimic $(if $(SOURCE),--source '$(SOURCE)') $(if $(ROBOT),--robot '$(ROBOT)') \
	    $(if $(PORT),--port '$(PORT)') $(if $(RECORD),--record '$(RECORD)') $(ARGS)

setup: $(VENV)/.installed

test: $(VENV)/.tested $(if $(TRAINING),$(VENV)/.trained)
	$(BIN)/python -m pytest $(IGNORED) $(ARGS)

lint: $(VENV)/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.tested
	$(BIN)/python -m benchmark.keyframe media/demo.mp4
	$(BIN)/python -m benchmark.bus

faults: $(VENV)/.tested
	$(BIN)/python -m benchmark.faults --markdown docs/safety.md $(ARGS)

train: $(VENV)/.trained
	$(BIN)/python -m training.keyframe.train.recipe --minutes '$(MINUTES)' --out '$(OUT)' \
	    $(if $(CLIPS),--clips '$(CLIPS)') $(if $(LABELS),--labels '$(LABELS)') \
	    $(if $(FACES),--faces '$(FACES)') $(if $(filter 1,$(INSTALL)),--install) $(ARGS)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.py setup.cfg package.xml | $(VENV)/bin/python
	$(PIP) install --quiet 'setuptools>=68,<80' wheel
	$(PIP) install --quiet --no-build-isolation --editable '.[ros]'
	@touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(PIP) install --quiet --no-build-isolation --editable '.[ros,test]'
	@$(PIP) install --quiet --no-build-isolation --editable '.[browser]' \
	    || echo 'Playwright cannot be installed here: the browser tests will be skipped'
	@touch $@

$(VENV)/.trained: training/requirements.txt training/constraints.txt $(VENV)/.tested
	$(PIP) install --quiet --requirement training/requirements.txt --constraint training/constraints.txt
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
