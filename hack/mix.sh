#!/usr/bin/env bash
# Random lives, each with several kinds of trouble at once: some with the operator's binary between
# an API server and the simulator, and very many in the model of the submission protocol. Prints how
# many there were of each as its last two lines. `make mix` builds what this needs and calls it.
#
# LIVES=300     how many with the binary
# LIFE=number   one of these again
# SEEDS=100000  how many in the model
# SEED=number   one of these again, and tells every step
set -uo pipefail

log=$(mktemp)
trap 'rm -f -- "$log"' EXIT
status=0
# One that is asked for by its number is lived alone.
if [[ -z ${SEED:-} ]]; then
    "$AEP_CONTROL_PLANE_BIN" run -- \
        cargo test --quiet --test e2e -- --ignored --nocapture many_lives_with_a_mix 2>&1 |
        tee "$log" || status=$?
    lives=$(grep --only-matching 'mix: points=.*' "$log" | tail --lines 1)
    [[ $lives == *" created_over_one=0 orphans=0 not_converged=0" || $status -ne 0 ]] || status=1
fi
if [[ -z ${LIFE:-} ]]; then
    cargo test --release --quiet --test model -- --ignored --nocapture every_random_mix 2>&1 |
        tee "$log" || status=$?
    seeds=$(grep --only-matching 'mix: seeds=[0-9]* violations=[0-9]*' "$log" | tail --lines 1)
fi
[[ -n ${SEED:-} ]] || echo "${lives:-mix: no life was counted}"
[[ -n ${LIFE:-} ]] || echo "${seeds:-mix: no seed was counted}"
exit "$status"
