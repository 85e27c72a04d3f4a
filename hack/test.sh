#!/usr/bin/env bash
# Runs every test of the workspace on one control plane, adds up what cargo says of each binary, and
# compares the rights that the operators used with those that they have. `make test` builds what this
# needs and calls it; arguments go to cargo test, and then rights are not compared.
#
# TARGETS='--test e2e'   only these of cargo's targets
set -uo pipefail

read -ra targets <<<"${TARGETS:---workspace --lib --bins --tests}"
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
export AUDIT_COPY=$work/audit.log
# Most of the time of a test goes by while it waits.
export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$(($(nproc) * 3 / 2))}
# The folder of the control plane goes with it, and the audit log is in it.
"$AEP_CONTROL_PLANE_BIN" run --audit-policy hack/rbac-check/audit-policy.yaml -- \
    bash -c 'cargo test "$@"; status=$?; cp -- "$AEP_CONTROL_PLANE_DIR/audit.log" "$AUDIT_COPY"; exit "$status"' \
    test "${targets[@]}" --no-fail-fast "$@" 2>&1 | tee "$work/log"
status=$?
awk '/^test result:/ { passed += $4; failed += $6; skipped += $8 }
     END { printf "tests: %d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$work/log"
if [[ $# -eq 0 ]]; then
    "$AEP_RBAC_CHECK_BIN" --roles deploy/rbac.yaml --account operator --unused hack/rbac-check/unused.txt --audit-log "$AUDIT_COPY" ||
        { ((status)) || status=1; }
fi
exit "$status"
