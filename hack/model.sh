#!/usr/bin/env bash
# Walks through every state of the submission protocol's model, in all its settings, and prints how
# many there are as its last line. `make model` calls it.
set -euo pipefail

log=$(mktemp)
trap 'rm -f -- "$log"' EXIT
status=0
cargo test --release --quiet --test model -- --ignored --nocapture every_setting 2>&1 | tee "$log" || status=$?
sum=$(grep -o 'model: states=[0-9]* violations=[0-9]*' "$log" | tail -n 1)
if [ -z "$sum" ]; then
    echo "model: no sum: the run was cut short" >&2
    exit 1
fi
echo "$sum"
exit "$status"
