# `make demo` and `make test` are the two commands to know; `make help` lists all.

MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

# Release binaries that tests and demo run; the variables are the test harness's.
RELEASE := $(CURDIR)/target/release
export AEP_EXPORT_OPERATOR_BIN := $(RELEASE)/aep-export-operator
export AEP_SIMULATOR_BIN := $(RELEASE)/aep-simulator
export AEP_CONTROL_PLANE_BIN := $(RELEASE)/control-plane
export AEP_RBAC_CHECK_BIN := $(RELEASE)/rbac-check

.PHONY: help demo test rbac-check crash model mix bench image e2e chart-test lint generate doctor build

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

demo: doctor build ## See exports run (KEEP=1: leave it running; CLUSTER=kubeconfig: on that cluster)
	@hack/demo.sh

test: doctor build lint ## Run every test that needs no root
	@hack/test.sh

rbac-check: doctor build ## Compare the rights that the operator has with those that the end-to-end tests use
	@TARGETS='--test e2e' hack/test.sh

model: ## Try every interleaving of leaders, objects and faults (minutes; the last line is the sum)
	@hack/model.sh

mix: doctor build ## Live random lives with several kinds of trouble: 300, and 100000 in the model (LIVES, SEEDS: numbers; LIFE, SEED: one of them)
	@hack/mix.sh

crash: doctor build ## Kill the operator at every request of a life (minutes; SEED=number: other pairs)
	@hack/crash.sh

bench: doctor build ## Measure memory, processor time, writes and calls at scale (three hours; ROWS=name,name: some; RUNS=number)
	@hack/bench.sh

# A Rust target for another machine is linked by that machine's gcc.
linker = $(if $(TARGET),CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)_LINKER=$(subst -unknown,,$(TARGET))-gcc)

image: ## Make the operator's image and its bill of materials in target/image (IMAGE=name; TARGET=Rust target)
	@hack/control-plane/doctor.sh image
	@$(linker) cargo build --release --workspace --bins --quiet $(if $(TARGET),--target $(TARGET))
	@hack/image.sh target/$(TARGET)/release/aep-export-operator target/image

e2e: build ## Take a Helm release through its life on a whole node, as root (KUBECONFIG=file, with kind in PATH: on that cluster)
	@hack/e2e.sh

chart-test: build ## Test the Helm charts, on an API server of their own (UPDATE=1: write what their documents and cases say)
	@"$(AEP_CONTROL_PLANE_BIN)" run -- cargo test --quiet --test chart

lint: ## Check format and lints
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --quiet -- --deny warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --log-level error check bans licenses sources; \
	 else echo "lint: no cargo-deny: dependencies are not checked (cargo install cargo-deny --locked)"; fi

generate: ## Write crds/, docs/reference.md and the charts' copies from the types
	@cargo run --quiet -- crd --directory crds
	@for chart in charts/*/files/crds; do rm -f $$chart/*.yaml; cp crds/*.yaml $$chart; done
	@cargo run --quiet -- crd --markdown > docs/reference.md.new
	@mv docs/reference.md.new docs/reference.md
	@UPDATE=1 cargo test --quiet --test chart written >/dev/null

doctor: ## Say what this machine lacks
	@hack/control-plane/doctor.sh

build: doctor ## Build the release binaries
	@cargo build --release --workspace --bins --quiet
