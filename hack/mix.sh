#!/usr/bin/env bash
# Walks through random lives of the submission protocol's model, each with several kinds of trouble
# at once, and prints how many there were as its last line. `make mix` calls it.
#
# SEEDS=100000  how many lives
# SEED=number   replays one, and tells every step
set -euo pipefail

log=$(mktemp)
trap 'rm -f -- "$log"' EXIT
status=0
cargo test --release --quiet --test model -- --ignored --nocapture every_random_mix 2>&1 |
    tee "$log" || status=$?
sum=$(grep -o 'mix: seeds=[0-9]* violations=[0-9]*' "$log" | tail -n 1)
if [ -z "$sum" ]; then
    echo "mix: no sum: the run was cut short" >&2
    exit 1
fi
echo "$sum"
exit "$status"
