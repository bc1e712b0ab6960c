.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
SHELL := /bin/sh

VENV ?= .venv
BIN := $(VENV)/bin
LOCKS := requirements
UV ?= $(if $(wildcard $(BIN)/uv),$(BIN)/uv,uv)

# Options for `multi-agent run`, and for pytest.
ARGS ?=
PYTEST_ARGS ?=
CHAOS_ARGS ?=
MUTANTS_ARGS ?=
SIMULATE_ARGS ?=
BENCH_ARGS ?=

# The request reaches the program through the environment, untouched by make and by the shell.
ifeq ($(filter --plan% --resume%,$(ARGS)),)
REQUEST ?= Create a simple SMA crossover strategy
endif
override REQUEST := $(value REQUEST)
export REQUEST

# Settings of the user's Python or pip that would make it install to, or import from, somewhere else.
unexport PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX
export PIP_USER := 0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# What `make run` needs besides the core depends on what is configured.
EXTRAS := $(if $(GEMINI_API_KEY)$(GOOGLE_API_KEY)$(MULTI_AGENT_GEMINI_BASE_URL),gemini) \
  $(if $(OPENAI_BASE_URL)$(OPENAI_API_KEY),openai) \
  $(if $(ANTHROPIC_BASE_URL)$(ANTHROPIC_API_KEY),anthropic) \
  $(if $(DATABASE_URL)$(MULTI_AGENT_DATABASE_URL),postgres)
RUN_LOCKS := $(patsubst %,$(LOCKS)/%.lock,build run $(EXTRAS))
DEV_LOCKS := $(patsubst %,$(LOCKS)/%.lock,build dev)
DEV_STAMP := $(VENV)/.installed-dev
# What is measured against is many packages, which nobody else shall have.
BENCH_VENV ?= .venv-bench
BENCH_LOCKS := $(patsubst %,$(LOCKS)/%.lock,build bench)
BENCH_STAMP := $(BENCH_VENV)/.installed-bench
# The development environment holds every extra, so it will do for `make run` as well.
RUN_STAMP := $(if $(wildcard $(DEV_STAMP)),$(DEV_STAMP),$(VENV)/.installed-run$(subst $() ,,$(EXTRAS:%=-%)))

.PHONY: run
run: $(RUN_STAMP) ## Turn REQUEST="..." into tested code (ARGS="..." are options of `multi-agent run`)
	@$(BIN)/multi-agent run $(ARGS) $${REQUEST:+-- "$$REQUEST"}

.PHONY: test
test: services check ## Everything: the checks, then all tests with coverage
	@$(BIN)/python -m pytest -n 3 --dist loadfile --cov --cov-report= -p tests.project.coverage_gate $(PYTEST_ARGS)

.PHONY: check
check: $(DEV_STAMP) ## The checks without the tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m contracts.schema.files --check
	$(BIN)/python -m contracts.schema.asyncapi --check

.PHONY: chaos
chaos: $(DEV_STAMP) ## Faults against a real system in a scratch folder (CHAOS_ARGS="--minutes 60 --postgres")
	@$(BIN)/multi-agent chaos $(CHAOS_ARGS)

.PHONY: mutants
mutants: $(DEV_STAMP) ## Take each protective line away; the checks must notice (MUTANTS_ARGS="--only NAME --seeds 1")
	@$(BIN)/python -m tests.chaos.mutants --write docs/mutants.md $(MUTANTS_ARGS)

.PHONY: simulate
simulate: $(DEV_STAMP) ## 100,000 simulated schedules with crashes and faults (SIMULATE_ARGS="--seed N")
	$(BIN)/python -m tests.simulation --schedules 100000 $(SIMULATE_ARGS)

.PHONY: bench
bench: $(BENCH_STAMP) ## Measure against a hand-written limit and peers; half an hour, idle machine (BENCH_ARGS="--quick")
	@$(BENCH_VENV)/bin/python -m benchmarks $(BENCH_ARGS)

.PHONY: format
format: $(DEV_STAMP) ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: install
install: $(DEV_STAMP) ## Make the development environment in .venv

.PHONY: services
services: ## What the tests use beyond Python packages (root on Debian or Ubuntu: installs it)
	@scripts/services.sh

.PHONY: lock
lock: ## Bring requirements/*.lock up to date with pyproject.toml (UV_ARGS=--upgrade for newer versions)
	@UV="$(UV)" scripts/lock.sh $(UV_ARGS)

.PHONY: clean
clean: ## Remove what make made, except .multi_agent with its work
	rm -rf $(VENV) $(BENCH_VENV) .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## This list
	@while IFS= read -r line; do case "$$line" in [a-z]*:*'## '*) \
	  printf 'make %-9s %s\n' "$${line%%:*}" "$${line#*## }";; esac; done <Makefile

$(DEV_STAMP): pyproject.toml $(DEV_LOCKS)
	@scripts/install.sh $(VENV) $(DEV_LOCKS)
	@touch $@

$(BENCH_STAMP): pyproject.toml $(BENCH_LOCKS)
	@scripts/install.sh $(BENCH_VENV) $(BENCH_LOCKS)
	@touch $@

ifneq ($(RUN_STAMP),$(DEV_STAMP))
$(RUN_STAMP): pyproject.toml $(RUN_LOCKS)
	@scripts/install.sh $(VENV) $(RUN_LOCKS)
	@touch $@
endif
