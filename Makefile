# Everything Rostra needs, from one command on a machine with Python 3.11+ and make.
# Each target sets up what it needs; stamps in .venv make the second time a no-op.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

# What you may set: make run HOST=0.0.0.0 PORT=9000
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python,$(shell \
	$(name) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
	>/dev/null 2>&1 && echo $(name))))
EXTRA ?= $(shell if nvidia-smi -L >/dev/null 2>&1 || [ -e /proc/driver/nvidia/version ]; \
	then echo gpu; else echo cpu; fi)
EXTRA := $(EXTRA)
$(if $(filter cpu gpu,$(EXTRA)),,$(error EXTRA is cpu or gpu, not "$(EXTRA)"))
HOST ?= 127.0.0.1
PORT ?= 8321
QUESTION ?= Where does Rostra keep its data?
ARGS ?=
export DOCS QUESTION

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --constraint constraints.txt --build-constraint constraints.txt
READY := $(VENV)/.stamp-venv
INSTALLED := $(VENV)/.stamp-installed-$(EXTRA)
DEV := $(VENV)/.stamp-dev-$(EXTRA)
PAGE_TRIED := $(VENV)/.stamp-page

PAGE := platform/api/static/index.html
PAGE_SOURCES := $(shell [ ! -d web ] || find web \
	\( -name node_modules -o -name dist -o -name '* *' \) -prune -o -type f -print)
LINTED := $(wildcard rostra mcp_servers evals tests benchmarks scripts hatch_build.py)

say = printf '\033[1m==>\033[0m %s\n' "$(1)" >&2
no_page = $(call say,The web page could not be built; is an npm registry reachable? All else \
	works. 'make web' tries again and says why)

.PHONY: help install web run test check gate bench soak conformance format docs lock clean

help: ## say what there is
	@echo 'make TARGET [VARIABLE=value]'
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'Variables: EXTRA=cpu|gpu (here: $(EXTRA)), PYTHON (here: $(PYTHON)), DOCS=folder and'
	@echo 'QUESTION="..." for run, HOST and PORT for run, ARGS="..." passed on by test, bench and soak,'
	@echo 'ROSTRA_HOME (data directory, .rostra), ROSTRA_SKIP_WEB=1 (leave the web page out).'

install: $(INSTALLED) ## .venv with the command .venv/bin/rostra, and the web page
	@$(MAKE) --no-print-directory --silent EXTRA=$(EXTRA) $(PAGE_TRIED)
	@$(call say,Installed: $(BIN)/rostra (extra: $(EXTRA)$(if $(wildcard $(PAGE)),,; no web page yet)))

web: $(INSTALLED) ## build the web page again if its sources changed; say why if that fails
	@$(MAKE) --no-print-directory --silent EXTRA=$(EXTRA) $(PAGE)
	@$(call say,The web page is up to date)

run: install ## read the project's docs (and DOCS=folder), answer a question, serve the page
	@$(call say,Reading the project's documents)
	@$(BIN)/rostra ingest README.md docs/*.md </dev/null || $(call say,Some files were left out; going on)
	@if [ -n "$${DOCS:-}" ]; then \
		DOCS=$${DOCS/#\~\//$$HOME/}; \
		[ -e "$$DOCS" ] || { printf 'There is no %s\n' "$$DOCS" >&2; exit 1; }; \
		printf '\033[1m==>\033[0m Reading %s\n' "$$DOCS" >&2; \
		$(BIN)/rostra ingest -- "$$DOCS" </dev/null || $(call say,Some files were left out; going on); \
	fi
	@printf '\033[1m==>\033[0m Asking: %s\n' "$$QUESTION" >&2
	@$(BIN)/rostra ask -- "$$QUESTION" </dev/null || $(call say,No answer; going on)
	@$(call say,Serving; Ctrl-C ends)
	@exec $(BIN)/rostra serve --host "$(HOST)" --port "$(PORT)" </dev/null

# A worker that runs out of tests takes some of another's, so a file's tests may be in two. Without
# bytecode every process that tests start would compile Rostra anew.
test: install $(DEV) ## all tests; those that need PostgreSQL or Chromium skip where it is missing
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -rs -n logical --maxprocesses 4 --dist worksteal \
		--ignore=tests/soak --ignore=tests/conformance $(ARGS)

check: install $(DEV) ## ruff, mypy, import-linter, layout guards, and the page's own checks
	$(BIN)/pytest -q tests/unit/test_layout.py
	$(BIN)/ruff check $(LINTED)
	$(BIN)/ruff format --check $(LINTED)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@scripts/check_web.sh

gate: install ## measure retrieval and answers on a small set; fail if they got worse
	@scripts/gate.sh $(ARGS)

bench: install $(DEV) ## measure; prints a table
	$(BIN)/python -m benchmarks $(ARGS)

soak: install $(DEV) ## the tests that run long on purpose, and MCP's conformance suite
	$(BIN)/pytest -q -rs tests/soak tests/conformance $(ARGS)

conformance: install $(DEV) ## MCP's official conformance suite; prints a table
	$(BIN)/python -m tests.conformance $(ARGS)

format: $(DEV) ## format the code and apply safe fixes
	$(BIN)/ruff check --fix-only $(LINTED)
	$(BIN)/ruff format $(LINTED)
	@if [ -d web/node_modules ] && command -v npm >/dev/null; then cd web && npm run --silent format; fi

docs: $(INSTALLED) ## write the pages that are made from the code
	$(BIN)/python scripts/settings_doc.py

lock: $(READY) ## resolve the newest allowed versions into constraints.txt
	$(BIN)/python scripts/lock.py constraints.txt

clean: ## remove all that make made; your data in .rostra stays
	rm -rf $(VENV) web/node_modules web/dist platform/api/static dist build *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# --- Stamps -------------------------------------------------------------------------------------
$(READY): constraints.txt
	@[ -n "$(PYTHON)" ] || { $(call say,Rostra needs Python 3.11 or newer with the venv module \
		(Debian and Ubuntu: apt install python3 python3-venv). Name another with PYTHON=...); exit 1; }
	@$(call say,Making $(VENV) with $(PYTHON))
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --upgrade --constraint constraints.txt pip
	@touch $@

$(INSTALLED): $(READY) pyproject.toml constraints.txt hatch_build.py
	@$(call say,Installing Rostra with the $(EXTRA) extra: a few minutes the first time, mostly for PyTorch)
	@rm -f $(VENV)/.stamp-installed-* $(VENV)/.stamp-dev-*
	@$(PIP) uninstall --quiet --yes $(if $(filter gpu,$(EXTRA)),faiss-cpu,faiss-gpu) 2>/dev/null
	@$(INSTALL) --editable '.[$(EXTRA)]' </dev/null
	@[ -f $(PAGE) ] || [ ! -f web/package.json ] || [ -n "$${ROSTRA_SKIP_WEB:-}" ] || $(no_page)
	@touch $@ $(PAGE_TRIED)

$(DEV): $(INSTALLED)
	@$(call say,Installing what tests and checks need)
	@$(INSTALL) --quiet --group dev $(if $(filter cpu,$(EXTRA)),--group dev-cpu) </dev/null
	@touch $@

# The editable install already built the page through hatch_build.py, which leaves a fresh page
# alone; these two build it again after its sources changed. The first may fail, the second not.
$(PAGE_TRIED): $(PAGE_SOURCES)
	@if [ -f web/package.json ] && [ -z "$${ROSTRA_SKIP_WEB:-}" ]; then \
		$(call say,Building the web page); \
		$(MAKE) --no-print-directory --silent EXTRA=$(EXTRA) $(PAGE) >/dev/null 2>&1 || $(no_page); \
	fi
	@touch $@

$(PAGE): $(PAGE_SOURCES)
	@$(call say,Building the web page)
	@ROSTRA_SKIP_WEB= ROSTRA_REQUIRE_WEB=1 $(INSTALL) --quiet --no-deps --editable . </dev/null
	@touch $@
