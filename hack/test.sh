#!/usr/bin/env bash
# Runs every test of the workspace on one control plane, and adds up what cargo says of each binary.
# `make test` builds what this needs and calls it; arguments go to cargo test.
set -uo pipefail

log=$(mktemp)
trap 'rm -f -- "$log"' EXIT
"$AEP_CONTROL_PLANE_BIN" run -- \
    cargo test --workspace --lib --bins --tests --no-fail-fast "$@" 2>&1 | tee "$log"
status=$?
awk '/^test result:/ { passed += $4; failed += $6; skipped += $8 }
     END { printf "tests: %d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$log"
exit "$status"
