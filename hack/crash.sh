#!/usr/bin/env bash
# Kills the operator at every request that it makes in a life, before and after, and at two of them
# in a sample of pairs, on one control plane. `make crash` builds what this needs and calls it.
#
# SEED=…     another sample of pairs
set -uo pipefail

log=$(mktemp)
trap 'rm -f -- "$log"' EXIT
"$AEP_CONTROL_PLANE_BIN" run -- \
    cargo test --test e2e crash:: -- --ignored --nocapture 2>&1 | tee "$log"
status=$?
sums=$(grep --only-matching 'crash: points=.*' "$log" | tail --lines 1)
[[ $sums == *" created_over_one=0 orphans=0 not_converged=0" || $status -ne 0 ]] || status=1
echo "${sums:-crash: nothing was counted}"
exit "$status"
