# Everything here needs only Python (3.11 or newer), make and a package index; it works in ./.venv and nowhere else.

PYTHON   ?= python3
SCENARIO ?= scenarios/10k-services.yaml
JOBS     ?= auto
ARGS     ?=
# bash has a variable SECONDS of its own, which make would take for one of ours
FUZZ_SECONDS := $(if $(filter command line,$(origin SECONDS)),$(SECONDS),600)

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.set-up

export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: bench-peers envelopes fuzz costs help setup profiles run test test-kernel check format bench coverage soak results validation results-check docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(STAMP) ## the environment in .venv, pinned by requirements.lock; done once, again when the lock changes

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "kpsim needs Python 3.11 or newer; name one with: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Setting up $(VENV) (a minute or two, once)…"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: $(STAMP) ## simulate SCENARIO and say where the report is; a failed threshold (exit code 99) is an answer
	@$(BIN)/kpsim run $(SCENARIO) $(ARGS) || { code=$$?; [ $$code -eq 99 ] || exit $$code; }

test: $(STAMP) ## the whole default test suite; ARGS="-k name" narrows it
	@$(BIN)/python -m pytest -n $(JOBS) $(ARGS)

test-kernel: $(STAMP) ## load the rules into a real kernel and connect through them, as root; skips what it cannot do
	@$(BIN)/python -m pytest -p no:xdist -raP --durations=10 tests/kernel $(ARGS)

check: $(STAMP) ## format, lint, types and layers
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(STAMP) ## write the format that check asks for
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

profiles: $(STAMP) ## fit the profiles of measured machines anew, from the tables in kpsim/calibration/records
	@$(BIN)/python -m kpsim.experiment.validation.machines kpsim/profiles

bench: $(STAMP) ## the benchmarks in tests/benchmarks, one at a time, and as root calibrate bench
	@KPSIM_BENCH=1 $(BIN)/python -m pytest -p no:xdist -rP tests/benchmarks tests/kernel/test_bench.py $(ARGS)

bench-peers: $(STAMP) ## kpsim beside SimPy, ns.py and Ciw on one queue; installs them, skips what it cannot
	@$(BIN)/python -c 'import ciw, ns' 2> /dev/null || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[peers]' || true
	@KPSIM_BENCH=1 $(BIN)/python -m pytest -p no:xdist -rPs tests/benchmarks/test_peers.py $(ARGS)

envelopes: $(STAMP) ## the table of times and memory in MEASURED.md, measured anew and printed; minutes, on a quiet machine
	@$(BIN)/python -m tests.benchmarks.envelopes

coverage: $(STAMP) ## how often 95 % intervals hold the truth, over a hundred seeds; minutes
	@$(BIN)/python tests/coverage/study.py $(ARGS)

soak: $(STAMP) ## the long forms of tests that CI runs short; minutes
	@$(BIN)/python tests/soak/limits.py $(ARGS)
	@$(BIN)/python -m tests.soak.kills

fuzz: $(STAMP) ## new inputs for ten minutes (SECONDS=…); prints the line that replays a fault
	@$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(ARGS)

costs: $(STAMP) ## measure kpsim's own runs and fit what the guard estimates by, kpsim/profiles/kpsim-costs.yaml; minutes
	@$(BIN)/python -m tests.benchmarks.run_costs $(ARGS)

CURATED := results/runs/curated

results: validation ## build results/ anew from the scenarios: summary, manifest, short report and figures of each
	@for scenario in scenarios/*.yaml; do \
	  kept=results/$$(basename $$scenario .yaml); \
	  echo "$$kept"; \
	  $(BIN)/kpsim run $$scenario --quiet --out $(CURATED) > /dev/null || [ $$? -eq 99 ] || exit 1; \
	  rm -rf $$kept && mkdir -p $$kept; \
	  for file in summary.json manifest.json report.md sweep.csv figures; do \
	    if [ -e $(CURATED)/$$file ]; then cp -r $(CURATED)/$$file $$kept/; fi; \
	  done; \
	  find $(CURATED) -maxdepth 1 -name '*.svg' -exec sh -c 'mkdir -p "$$1/figures" && cp "$$2" "$$1/figures/"' _ $$kept {} \; ; \
	  rm -rf $(CURATED); \
	done

validation: $(STAMP) ## build results/validation anew: predictions against measurements, as a page with figures
	@rm -rf results/validation
	@$(BIN)/kpsim validate --out results/validation > /dev/null
	@rm results/validation/report.html

results-check: $(STAMP) ## run every scenario, the large ones too, and compare with results/; minutes
	@$(BIN)/python -m pytest -p no:xdist --durations=10 tests/golden tests/golden/large $(ARGS)

DOCS := build/docs

docs: $(STAMP) ## the documentation as a site in build/docs/site, which opens without a server
	@$(BIN)/python -c 'import mkdocs, nbconvert' 2> /dev/null || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[docs]'
	@rm -rf $(DOCS) && mkdir -p $(DOCS)/pages/tutorial
	@cp -r notebooks/howto $(DOCS)/pages/howto
	@cp -r results $(DOCS)/pages/results && rm -rf $(DOCS)/pages/results/runs $(DOCS)/pages/results/sweeps
	@find $(DOCS)/pages/results -name '*.md' -delete
	@sed 's|(notebooks/howto/|(howto/|; s|(notebooks/\(0[^)]*\).ipynb)|(tutorial/\1.md)|; s|(DESIGN.md)|(design.md)|' \
	  README.md > $(DOCS)/pages/index.md
	@cp DESIGN.md $(DOCS)/pages/design.md && cp MEASURED.md $(DOCS)/pages/measured.md
	@printf '%s\n' 'table, pre, img { max-width: 100%; }' 'table { display: block; overflow-x: auto; }' \
	  'code { overflow-wrap: anywhere; }' 'pre code { white-space: pre-wrap; }' > $(DOCS)/pages/wide.css
	@$(BIN)/python -m nbconvert --log-level ERROR --to markdown --output-dir $(DOCS)/pages/tutorial notebooks/0*.ipynb
	@$(BIN)/kpsim reference --out $(DOCS)/pages/reference
	@$(BIN)/python -m mkdocs build --quiet --strict --config-file notebooks/mkdocs.yml
	@echo "$(DOCS)/site/index.html"

clean: ## remove the environment and every cache
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
