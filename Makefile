# The only commands anyone needs. Each installs what it needs, says what it is doing, and can be repeated.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The examples name their binaries as ../target/debug/…, so builds go there whatever the user's settings are.
export CARGO_TARGET_DIR := $(CURDIR)/target
# Nodes written in Python run in the project's environment, also from YAML files elsewhere (tests).
export VIRTUAL_ENV := $(CURDIR)/.venv
# A registry of crates that is slow for a moment is asked again, for longer than by default.
export CARGO_NET_RETRY ?= 10
# Our own work tree is the last place where Python should leave byte code.
export PYTHONDONTWRITEBYTECODE := 1

# The Python module is built by maturin alone. Left out here, its features do not change those of the others, and
# what `make run` has built serves `make test` too.
ALL := --workspace --exclude dataflow-python

# Tests interrupt what they start. A shell that runs `make test &` hands on an ignored SIGINT, and who is started
# with one keeps ignoring it.
DEFAULT_SIGNALS := env --default-signal

FLOW ?= dataflows/quickstart.yml
SECONDS ?= 60
MINUTES ?= 10
SEEDS ?= 10000
SEED ?=
PEERS ?=
DATAFLOW := target/debug/dataflow

.PHONY: help
help: ## Show this list
	@printf 'usage: make TARGET\n\n'
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: run
run: python ## Build, and run an example (FLOW=dataflows/quickstart.yml)
	@printf '==> building dataflow and the nodes of the examples\n'
	@cargo build --locked -p dataflow-cli -p dataflow-examples
	@printf '==> %s up %s\n' $(DATAFLOW) $(FLOW)
	@exec $(DATAFLOW) up $(FLOW)

.PHONY: demo-models
demo-models: python ## Fetch a real model from a Hub on this machine, and search with it (QUESTION='…')
	@printf '==> building dataflow, the nodes of the examples and the fake Hub\n'
	@cargo build --locked -p dataflow-cli -p dataflow-examples -p dataflow-testkit --bins --example fake_hub
	@scripts/demo-models

.PHONY: test
test: python ## Build and run every test
	@printf '==> building everything and its tests\n'
	@cargo build --locked $(ALL) --all-targets
	@scripts/demo-models prepare
	@scripts/network-tools
	@scripts/metrics-environment >/dev/null
	@printf '==> cargo test\n'
	@$(DEFAULT_SIGNALS) cargo test --locked $(ALL)
	@printf '==> cargo test, with rules that are broken on purpose\n'
	@cargo test --locked -p dataflow-testkit --features broken-rules --test broken_rules
	@cargo test --locked -p dataflow-core --features broken-rules --test machines stats::broken
	@printf '==> the tests in Python\n'
	@$(DEFAULT_SIGNALS) .venv/bin/python -m unittest discover --start-directory crates/python/tests
	@$(DEFAULT_SIGNALS) .venv/bin/python -m unittest discover --start-directory dataflows/tests

.PHONY: check
check: python ## Formatting, lints, documentation, dependencies
	@printf '==> cargo fmt --check\n'
	@cargo fmt --all --check
	@printf '==> cargo clippy\n'
	@cargo clippy --locked --workspace --all-targets -- --deny warnings
	@printf '==> cargo clippy, without the screen of dataflow top\n'
	@cargo clippy --locked -p dataflow-cli --no-default-features --all-targets -- --deny warnings
	@printf '==> cargo clippy, with rules that are broken on purpose\n'
	@cargo clippy --locked -p dataflow-core -p dataflow-testkit --features broken-rules --all-targets -- --deny warnings
	@printf '==> cargo doc\n'
	@RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --no-deps
	@printf '==> cargo deny\n'
	@scripts/cargo-deny

.PHONY: bench
bench: python ## Measure speed beside the floors of this machine, in the release profile
	@printf '==> building dataflow and the benches in the release profile\n'
	@cargo build --locked --release -p dataflow-cli -p dataflow-benches
	@cargo bench --locked -p dataflow-benches

.PHONY: soak
soak: python ## Kill, stop, pause and flood for MINUTES=10 [SEED=], each message accounted for, in the release profile
	@printf '==> building dataflow and the soak in the release profile\n'
	@cargo build --locked --release -p dataflow-cli -p dataflow-tests
	@printf '==> cargo test, with 10,000,000 messages a policy\n'
	@DATAFLOW_SOAK=1 cargo test --locked --release -p dataflow-shm --test two_processes -- --nocapture
	@printf '==> cargo test, two agents that watch each other for 5 minutes under every load\n'
	@DATAFLOW_SOAK=1 cargo test --locked --release -p dataflow-tests --test peer_liveness -- --nocapture
	@printf '==> target/release/dataflow-soak --minutes %s\n' '$(MINUTES)'
	@$(DEFAULT_SIGNALS) target/release/dataflow-soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

.PHONY: simulate
simulate: ## Whole runtimes, and agents with their peers, on virtual time: SEEDS=10000 random ones, or [PEERS=1] SEED=
	@cargo build --locked -p dataflow-testkit --example simulate
	@printf '==> simulating %s\n' '$(if $(SEED),seed $(SEED),$(SEEDS) seeds)'
ifeq ($(SEED),)
	@target/debug/examples/simulate --seeds $(SEEDS)
	@printf '==> simulating %s seeds of peers\n' '$(SEEDS)'
	@target/debug/examples/simulate --peers --seeds $(SEEDS)
else
	@target/debug/examples/simulate $(if $(PEERS),--peers) --seed $(SEED)
endif

.PHONY: fuzz
fuzz: ## Give SECONDS=60 of made-up bytes to each reader of bytes, or to one TARGET=
	@scripts/prerequisites >/dev/null
	@scripts/fuzz $(SECONDS) $(TARGET)

.PHONY: fuzz-corpora
fuzz-corpora: ## Make the committed corpora anew out of what fuzzers have found
	@scripts/prerequisites >/dev/null
	@scripts/fuzz keep $(TARGET)

.PHONY: docs
docs: ## Build the pages of the Rust API, and say where they are
	@scripts/prerequisites >/dev/null
	@cargo doc --locked --workspace --no-deps
	@printf '==> target/doc/dataflow_node/index.html\n'

.PHONY: python
python: ## Prepare .venv: numpy and our Python module
	@scripts/python-environment

.PHONY: clean
clean: ## Remove what was built, .venv, and the logs of the examples' runs
	rm -rf target .venv dataflows/.dataflow
