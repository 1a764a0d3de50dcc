# A thin layer over cargo and deploy/setup.sh. `make help` lists what there is.
#
# Every step builds with --locked, says its name, and says its seconds. Nothing here writes to a
# tracked file but `make fix`.

SHELL := /bin/sh
.DEFAULT_GOAL := help
# One step after the other, but for those that `make test` runs side by side: there what computes
# has a lower priority than the tests of real processes, and takes only the time that they leave.
ifdef SIDE_BY_SIDE
ASIDE := nice -n 10
else
.NOTPARALLEL:
endif

# Empty unless the pinned toolchain is installed under another name only; see the script.
TOOLCHAIN := $(shell deploy/setup.sh toolchain)
ifneq ($(TOOLCHAIN),)
export RUSTUP_TOOLCHAIN := $(TOOLCHAIN)
endif

# What `make demo` and `make bench-help` pass on, for instance ARGS=--no-shell.
ARGS ?=

# How many fresh seeds `make sim` runs; `make test` runs fixed ones.
SEEDS ?= 10000

# The longest test of all.
FIXED_SEEDS := fixed_seeds_keep_every_promise

# How long `make chaos` goes on.
MINUTES ?= 10

STARLING := cargo run --release --locked --package starling-node --bin starling --

# $(call step,NAME,COMMAND): the recipe line that runs one step. The command holds no comma.
step = @printf '\n== %s\n' '$(1)'; began=$$(date +%s); { $(2); } \
	&& printf '== %s: %s s\n' '$(1)' "$$(($$(date +%s) - began))" \
	|| { printf '== %s: FAILED\n' '$(1)' >&2; exit 1; }

.PHONY: help demo test setup check format tidy lint lean doc build units simulated processes \
	mutants sim chaos fix bench-help clean

help: ## Lists the targets.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: setup ## Three nodes, real data, a node killed on the way, every answer checked; ARGS=...
	@$(STARLING) demo $(ARGS)

# Tests of real processes mostly wait for them, and leave time for the rest.
test: setup format tidy lint build ## Everything that must pass, cheapest first; what CI runs.
	@printf '\n== the rest side by side; each step is shown when it has ended\n'
	@$(MAKE) --no-print-directory --jobs=5 --output-sync=target SIDE_BY_SIDE=yes \
		processes simulated lean doc mutants
	@printf '\n== all passed\n'

setup: ## Finds or installs libclang; builds RocksDB, once per user.
	$(call step,setup,deploy/setup.sh)

check: format tidy lint lean doc ## Formatting, house rules, licences, lints, documentation.

format:
	$(call step,format,cargo fmt --all --check)

# The workspace as a whole is selected, so that the crates beneath are built with the features that
# every later step builds them with, once.
tidy: setup ## The numbered rules of CONTRIBUTING.md, and the licences of all dependencies.
	$(call step,tidy,cargo test --workspace --locked --quiet --test tidy --test licences)

lint: setup
	$(call step,lint,cargo clippy --workspace --all-targets --locked -- -D warnings)

lean: setup
	$(call step,lint without rocksdb,$(ASIDE) cargo clippy --workspace --all-targets --locked \
		--no-default-features -- -D warnings)

doc: setup
	$(call step,doc,RUSTDOCFLAGS=-Dwarnings $(ASIDE) cargo doc --workspace --no-deps --locked \
		--document-private-items)

build:
	$(call step,build of the tests,cargo test --workspace --locked --quiet --no-run)

units: processes simulated ## Every test: laws, model, simulation, real processes, examples.

# Most of these tests wait for processes, so more of them run at a time than there are cores.
processes: setup
	$(call step,tests,RUST_TEST_THREADS=5 cargo test --workspace --locked -- --skip $(FIXED_SEEDS))

simulated: setup
	$(call step,simulation of fixed seeds,$(ASIDE) cargo test --workspace --locked \
		--test simulation $(FIXED_SEEDS))

# With RocksDB, although no mutant needs it: without it a dependency of the proc-macros changes its
# features, and cargo would compile every crate beneath a second time.
mutants: setup ## Builds the deliberate bugs in and shows that the suite catches each of them.
	$(call step,mutants,$(ASIDE) cargo test --package starling-tests --locked \
		--features mutants --test mutants --test bounded)
	$(call step,mutants of gossip,$(ASIDE) cargo test --package starling-ring --locked \
		--features mutants --test gossip mutants)

sim: ## The simulator alone, optimised, on SEEDS=n fresh seeds.
	$(call step,simulation,STARLING_SEEDS=$(SEEDS) cargo test --package starling-tests --locked --no-default-features \
		--release --test simulation -- --nocapture)

chaos: setup ## Five real nodes under cuts, kills, full disks, wrong clocks, for MINUTES=n.
	$(call step,chaos,STARLING_CHAOS_SECONDS=$$(($(MINUTES) * 60)) cargo test \
		--package starling-tests --locked --test chaos -- --nocapture)

fix: setup ## The only target that writes: applies what clippy and rustfmt can repair.
	$(call step,fix lints,cargo clippy --fix --allow-dirty --allow-staged --workspace \
		--all-targets --locked)
	$(call step,fix format,cargo fmt --all)

bench-help: setup ## How to measure a cluster.
	@$(STARLING) bench --help $(ARGS)

clean: ## Removes what was built here; RocksDB in ~/.cache/starling stays.
	cargo clean
