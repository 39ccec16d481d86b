# Everything that a developer or a new user does, by name. `make` alone lists it.
#
#   PYTHON       the interpreter that makes the environment (3.11 or newer), by default python3
#   VENV         where the environment lies, by default .venv
#   ARGS         more arguments for the command that runs: make demo ARGS="--out somewhere"
#   PIP_FLAGS    more arguments for pip install
#   CONSTRAINTS  exact versions of what is installed, by default constraints.txt
#   ENGINE       what builds images and starts containers: docker or podman
#   IMAGE        the name of the images, by default skeleton-lab
#   WITH_APEX    1 builds NVIDIA Apex into the cuda image, 0 leaves it out
#   IMAGE_FLAGS  more arguments for the engine's build

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
PIP_FLAGS ?=
CONSTRAINTS ?= constraints.txt
ENGINE ?= docker
IMAGE ?= skeleton-lab
WITH_APEX ?= 1
IMAGE_FLAGS ?=

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

##@ Use

.PHONY: help
help: ## List what can be made
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.runtime ## The whole job on synthetic recordings, ending with an HTML report
	@$(BIN)/skelab demo $(ARGS)

.PHONY: test
test: $(VENV)/.dev ## Every test that is not slow
	$(PYTEST) -m "not slow" $(ARGS)

##@ Images

IMAGE_BUILD = $(ENGINE) build $(IMAGE_FLAGS) \
  --build-arg VERSION="$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' src/skelab/_version.py)" \
  --build-arg REVISION="$$(git rev-parse HEAD 2> /dev/null || echo unknown)" \
  $(foreach name,PIP_INDEX_URL PIP_EXTRA_INDEX_URL,$(if $($(name)),--build-arg $(name)))

.PHONY: image
image: $(if $(shell command -v nvidia-smi),image-cuda,image-cpu) ## The image for this machine: cuda where there is an NVIDIA driver, else cpu

.PHONY: image-cuda
image-cuda: ## PyTorch 2.3.1, CUDA 12.1 and NVIDIA Apex, as skeleton-lab:cuda and :latest
	$(IMAGE_BUILD) --build-arg WITH_APEX=$(WITH_APEX) --tag $(IMAGE):cuda --tag $(IMAGE):latest .

.PHONY: image-cpu
image-cpu: ## Current PyTorch for machines without a GPU, as skeleton-lab:cpu and :latest
	$(IMAGE_BUILD) --build-arg TORCH_SPEC=torch==2.13.0+cpu --build-arg CONSTRAINTS=constraints.txt \
	  --build-arg WITH_APEX=0 --tag $(IMAGE):cpu --tag $(IMAGE):latest .

.PHONY: image-test
image-test: ## Build the cpu image without any registry of images; run `demo` and `make test` in it
	tests/image/build_and_test.sh $(ARGS)

##@ Develop

.PHONY: setup
setup: $(VENV)/.dev ## The environment with all developers' tools, in .venv

.PHONY: check
check: format lint types layers docs test ## All that must hold before a change goes in

.PHONY: format
format: $(VENV)/.dev ## Is the code formatted? (`make fix` formats it)
	$(BIN)/ruff format --check .

.PHONY: lint
lint: $(VENV)/.dev ## Ruff's rules
	$(BIN)/ruff check .

.PHONY: fix
fix: $(VENV)/.dev ## Format the code and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: types
types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

.PHONY: layers
layers: $(VENV)/.dev ## Rooms import downwards only, and without cycles
	$(BIN)/lint-imports

.PHONY: docs
docs: $(VENV)/.dev ## Build the documentation into site/
	$(BIN)/zensical build --clean --strict

.PHONY: test-all
test-all: $(VENV)/.dev sanitize ## Every test, the slow ones too, and `make sanitize`
	$(PYTEST) $(ARGS)

# A build of its own, which the sanitizers' libraries must be loaded before; Python itself leaks.
SANITIZED := build/sanitized
.PHONY: sanitize
sanitize: $(VENV)/.dev ## The compiled code under AddressSanitizer and UBSan (needs gcc with both)
	rm -rf $(SANITIZED)
	mkdir -p $(SANITIZED)
	cp -r src $(SANITIZED)/src
	SKELAB_SANITIZE=1 $(BIN)/python setup.py -q build_ext --force --build-lib $(SANITIZED)/src --build-temp $(SANITIZED)/objects
	PYTHONPATH=$(SANITIZED)/src LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	$(BIN)/python -m pytest -q -n0 -p no:cacheprovider -m "not slow" tests/unit/native tests/property/test_native.py

.PHONY: test-oldest
test-oldest: ## `make test` with PyTorch 2.3.1 and numpy 1.26, which the cuda image holds
	$(MAKE) test VENV=.venv-oldest CONSTRAINTS=constraints-oldest.txt

.PHONY: fuzz
fuzz: $(VENV)/.dev ## Damage 200,000 recordings; the compiled reader and its twin must agree on each
	$(BIN)/python tests/fuzz_skeleton_file.py $(ARGS)

.PHONY: fuzz-readers
fuzz-readers: $(VENV)/.dev ## Damage a file of each kind; every reader must answer in one line
	$(BIN)/python tests/fuzz_readers.py $(ARGS)

.PHONY: gpu-check
gpu-check: $(VENV)/.dev ## On a machine with a GPU: tests, fit, training in 12 minutes; writes gpu-check.md
	$(BIN)/python benchmarks/gpu_check.py $(ARGS)

AUDIT := $(VENV)-audit

$(AUDIT)/.made:
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/pip install -q --disable-pip-version-check $(PIP_FLAGS) pip-audit pip-licenses cyclonedx-bom
	@touch $@

.PHONY: audit
audit: $(VENV)/.runtime $(AUDIT)/.made ## Known vulnerabilities and licences of the installed packages
	@mkdir -p dist
	$(AUDIT)/bin/pip-licenses --python $(BIN)/python --format markdown --output-file dist/licences.md
	$(AUDIT)/bin/pip-audit --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
	  $(ARGS)

.PHONY: sbom
sbom: $(VENV)/.runtime $(AUDIT)/.made ## A bill of materials of the environment (CycloneDX), in dist/
	@mkdir -p dist
	$(AUDIT)/bin/cyclonedx-py environment --output-reproducible --output-file dist/sbom.json $(BIN)/python

.PHONY: bench
bench: $(VENV)/.dev ## Measure: runs benchmarks/bench_*.py one after the other
	@for script in benchmarks/bench_*.py; do echo "== $$script"; $(BIN)/python "$$script" $(ARGS); done

.PHONY: clean
clean: ## Remove what was built; the environment and your runs stay
	rm -rf build dist site .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment. Each stamp is newer than what it was made from, so that nothing runs twice.

BUILT_FROM := pyproject.toml setup.py $(CONSTRAINTS) $(wildcard $(addprefix src/skelab/native/,*.cpp *.h networks/*.cpp networks/*.h))

define too_old
error: $(PYTHON) is older than Python 3.11; name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12
endef

define no_venv
error: $(PYTHON) cannot make an environment; on Debian and Ubuntu: apt-get install python3-venv
endef

define no_python
error: $(PYTHON) was not found; on Debian and Ubuntu: apt-get install python3 python3-venv
endef

$(VENV)/.made:
	@command -v $(PYTHON) > /dev/null || { echo "$(no_python)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(too_old)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { echo "$(no_venv)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# $(call install,EXTRAS,WHAT): the packages are counted as pip finds them; all it says is in a log.
define install
@echo "Installing $(2) into $(VENV). The first time, this fetches PyTorch and takes minutes." >&2
@$(BIN)/python -u -m pip install --disable-pip-version-check --no-input $(PIP_FLAGS) \
  --constraint $(CONSTRAINTS) --editable '.$(1)' 2>&1 | tee $(VENV)/install.log | { \
  count=0; terminal=0; if [ -t 2 ]; then terminal=1; fi; \
  while read -r word name _; do case "$$word" in \
    Collecting|Processing) count=$$((count + 1)); name=$${name##*/}; \
      if ((terminal)); then printf '\r\033[K  %d found: %s' $$count "$${name%%[<>=;!~(]*}" >&2; fi ;; \
    Installing) if [ "$$name" = collected ]; then \
      if ((terminal)); then printf '\r\033[K' >&2; fi; \
      echo "  $$count packages found, unpacking them" >&2; fi ;; \
  esac; done; } || { \
  grep -E '^ *(ERROR|error)' $(VENV)/install.log | head -5 >&2 || tail -5 $(VENV)/install.log >&2; \
  echo "error: the installation failed; all that pip said is in $(VENV)/install.log" >&2; exit 1; }
@echo "  done" >&2
endef

$(VENV)/.runtime: $(BUILT_FROM) | $(VENV)/.made
	$(call install,,skelab)
	@touch $@

$(VENV)/.dev: $(BUILT_FROM) | $(VENV)/.made
	$(call install,[dev],skelab and the developers' tools)
	@touch $(VENV)/.runtime $@
