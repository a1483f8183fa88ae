# One way in. `make run` shows the exporter, `make test` checks it, `make help` lists the rest.
# Another Python for the virtual environment: `make clean`, then `make test PYTHON=python3.13`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
LISTEN ?= :10048
# More options of pytest, such as PYTEST_ARGS="-k retry -x".
PYTEST_ARGS ?=
# Processes that run the unit tests: one more than there are processors, as some tests wait.
# WORKERS=0 runs them in one, for -s and the like. A worker that a hanging test has ended is not
# replaced: pytest-xdist cannot do that with --dist loadgroup.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# More options of the benches, such as BENCH_ARGS="--only pipeline,loop".
BENCH_ARGS ?=
# How long the demo is watched, such as PICTURE_ARGS="--minutes 5".
PICTURE_ARGS ?=
# More options of the soak, such as SOAK_ARGS="--days 3".
SOAK_ARGS ?=
# Which changes are tried, such as MUTANTS_ARGS="--seed 2 --sample 200 --only metrics".
MUTANTS_ARGS ?=

export PYTHON UV

.PHONY: help
help: ## List the commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: $(BIN)/.installed ## Start the demo: the exporter on a simulated Azure. LISTEN=:10048
	@echo "Starting the demo at http://$(patsubst :%,localhost:%,$(LISTEN))/ (metrics at /metrics). Ctrl-C stops it."
	@exec $(BIN)/python -m exporter --demo --web.listen-address=$(LISTEN)

.PHONY: install
install: $(BIN)/.installed ## Install the exporter into .venv: .venv/bin/azure-vmss-exporter.

.PHONY: test
test: lint unit ## Lint and the tests, without test-alerts, -reports and -slow; .ci/run runs them all.

.PHONY: lint
lint: $(BIN)/.installed-test ## Format, lint, types, import directions, words, unused code. Shows all before it fails.
	@failed=0; \
	step() { echo "+ $$*"; "$$@" || failed=1; }; \
	step $(BIN)/ruff format --check .; \
	step $(BIN)/ruff check .; \
	step $(BIN)/mypy; \
	step $(BIN)/lint-imports; \
	step $(BIN)/codespell --dictionary=- --dictionary=docs/words.txt; \
	step $(BIN)/vulture; \
	exit $$failed

.PHONY: unit
unit: $(BIN)/.installed-test prometheus-tools ## The tests, with branch coverage. PYTEST_ARGS="-k retry -x"
	$(BIN)/python -m pytest --cov -n $(WORKERS) --dist loadgroup --max-worker-restart=0 -m "not image and not alerts and not reports" $(PYTEST_ARGS)

.PHONY: test-alerts
test-alerts: $(BIN)/.installed-test prometheus-tools ## Faults in a simulated Azure, to the page of a real Alertmanager. Takes five minutes.
	$(BIN)/python -m pytest -m alerts -o faulthandler_timeout=1200 $(PYTEST_ARGS)

.PHONY: test-reports
test-reports: $(BIN)/.installed-test ## What others have reported, if AZURE_VMSS_REPORTS names its folder. Takes three minutes.
	$(BIN)/python -m pytest -m reports $(PYTEST_ARGS)

.PHONY: test-slow
test-slow: $(BIN)/.installed-test image-tools ## Build and run the container image. The first time takes minutes.
	$(BIN)/python -m pytest -m image -o faulthandler_timeout=1200 $(PYTEST_ARGS)

.PHONY: fuzz
fuzz: $(BIN)/.installed-test ## The property tests with FUZZ=50 times as many examples: some twenty minutes.
	FUZZ=$${FUZZ:-50} $(BIN)/python -m pytest -m fuzz $(PYTEST_ARGS)

.PHONY: bench bench-quick
bench: $(BIN)/.installed-bench bench-tools ## Measure against the peers; writes docs/benchmarks.md. Takes about an hour.
	$(BIN)/python -m bench $(BENCH_ARGS)

bench-quick: $(BIN)/.installed-bench bench-tools ## The same with 10,000 instances, in several minutes; writes no document.
	$(BIN)/python -m bench --quick --output $(VENV)/benchmarks-quick.md $(BENCH_ARGS)

.PHONY: bench-budget
bench-budget: $(BIN)/.installed-test ## What Azure's quota is spent on; writes docs/budget-benchmarks*.md. Takes an hour and a half.
	$(BIN)/python -m bench.budget $(BENCH_ARGS)

.PHONY: soak
soak: $(BIN)/.installed-test ## Two weeks of simulated time with troubles, in under ten minutes. SEED=4 for the same again
	$(BIN)/python -m soak $(SOAK_ARGS)

.PHONY: mutants
mutants: $(BIN)/.installed-test ## Change the program in small ways and list what no test notices. Takes half an hour; not in CI.
	$(BIN)/python -m mutants $(MUTANTS_ARGS)

.PHONY: format
format: $(BIN)/.installed-test ## Put the code into shape.
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: docs
docs: $(BIN)/.installed ## Write the generated pages of docs: metrics, configuration, azure-calls.
	$(BIN)/python -m exporter.metrics_reference > $(VENV)/metrics.md
	mv $(VENV)/metrics.md docs/metrics.md
	$(BIN)/python -m exporter.calls_reference > $(VENV)/azure-calls.md
	mv $(VENV)/azure-calls.md docs/azure-calls.md
	$(BIN)/python -m exporter.configuration_reference docs/configuration.md.in > $(VENV)/configuration.md
	mv $(VENV)/configuration.md docs/configuration.md

.PHONY: dashboards
dashboards: $(BIN)/.installed-test ## Write grafana/dashboards/*.json from grafana/source.
	$(BIN)/python -m grafana.source

.PHONY: dashboard-pictures
dashboard-pictures: $(BIN)/.installed-test picture-tools ## Draw the dashboards into docs/images. Takes 35 minutes and 700 MB; not in CI.
	PYTHONPATH=.:tests $(BIN)/python tests/dashboard-pictures/draw.py $(PICTURE_ARGS)

.PHONY: page-pictures
page-pictures: $(BIN)/.installed-test picture-tools ## Draw the pages for people into docs/images. Takes a minute; not in CI.
	PYTHONPATH=.:tests $(BIN)/python tests/page-pictures/draw_pages.py

.PHONY: lock
lock: ## Write the lock files. Needs uv (UV=path). UPGRADE=--upgrade takes the newest versions.
	scripts/write-locks.sh $(UPGRADE)

.PHONY: clean
clean: ## Remove what the other commands made.
	rm -rf tests/dashboard-pictures/{node_modules,dist}
	rm -rf $(VENV) build dist *.egg-info .coverage .hypothesis .*_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make a second run quick: pip runs again only when a lock or pyproject.toml is newer.
$(BIN)/python:
	@scripts/make-virtual-environment.sh $(VENV)

# With --no-index nothing can be fetched for the build: its tool is locked too, and already there.
$(BIN)/.installed: requirements.lock requirements-build.lock pyproject.toml | $(BIN)/python
	@scripts/install-locks.sh $(VENV) requirements.lock requirements-build.lock
	@$(BIN)/pip install -qq --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/.installed-test: requirements-test.lock $(BIN)/.installed
	@scripts/install-locks.sh $(VENV) requirements-test.lock
	@touch $@

$(BIN)/.installed-bench: requirements-bench.lock $(BIN)/.installed
	@scripts/install-locks.sh $(VENV) requirements-bench.lock
	@touch $@

# Without these the tests of the real components are skipped or, where CI=true, fail; the benches
# leave the peers out, and say so.
.PHONY: prometheus-tools image-tools bench-tools picture-tools
prometheus-tools:
	@scripts/install-debian-packages.sh prometheus prometheus-alertmanager curl chromium
image-tools:
	@scripts/install-debian-packages.sh buildah podman runc conmon debootstrap
bench-tools:
	@scripts/install-debian-packages.sh nginx golang-go golang-github-prometheus-client-golang-dev
picture-tools:
	@scripts/install-debian-packages.sh prometheus chromium
