# Two commands do all the set-up: `make demo` and `make test`. Both install into .venv/ of this checkout.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FAULT ?=
ASK ?=
WORKFLOW ?=

.PHONY: help demo test crash attack mutants mutation lint bench eval wheel clean

help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

$(BIN)/.demo: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Pilothouse needs Python 3.11 or later: make demo PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(BIN)/.dev: $(BIN)/.demo pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

demo: $(BIN)/.demo ## ship the sample product in the sandbox (ASK=1: you type the word; FAULT=name: break something)
	@$(BIN)/pilothouse demo $(if $(ASK),--ask) $(foreach fault,$(FAULT),--fault $(fault)) $(if $(WORKFLOW),--workflow $(WORKFLOW))

test: $(BIN)/.dev ## all tests
	@$(BIN)/python -m pytest -n 4 --dist worksteal -q

crash: $(BIN)/.dev ## the crash suite with a run of its own for every single kill (test groups an act's kills)
	@PILOTHOUSE_CRASH=exhaustive $(BIN)/python -m pytest -n 3 -q tests/crash tests/release/test_two_jobs.py tests/tools/test_tickets_community.py

mutants: $(BIN)/.dev ## every law's mutant, which the law's test must notice (docs/laws.md)
	@$(BIN)/python tests/laws/run_mutants.py

mutation: $(BIN)/.dev ## every small change of the guard, and how many of them the tests notice (writes docs/mutation.md)
	@$(BIN)/python tests/laws/run_mutation.py

attack: $(BIN)/.dev ## 100,000 sequences of a hostile model, crowd and world against the guard (SEED=n NUMBER=n)
	@$(BIN)/python tests/attacks/run.py $(if $(SEED),--seed $(SEED)) $(if $(NUMBER),--number $(NUMBER))

lint: $(BIN)/.dev ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

bench: $(BIN)/.dev ## ratios against a peer or a floor, measured in one run
	@$(BIN)/python bench/run.py

eval: $(BIN)/.dev ## agents in release worlds with known truth (AGENTS="scripted real" WORLDS="clean" ARGS=--json)
	@$(BIN)/python -m evals.run $(if $(AGENTS),--agents "$(AGENTS)") $(if $(WORLDS),--worlds "$(WORLDS)") $(ARGS)

wheel: $(BIN)/.dev ## build the wheel and check it in an environment of its own
	@$(BIN)/python .ci/wheel.py

clean: ## remove what was installed and cached
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache
