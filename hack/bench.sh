#!/usr/bin/env bash
# Measures what the operator costs at scale: its release binary against real API servers, one for
# each scene, and the simulator. Prints a line `name value goal ok|miss` for each row, and a sum.
# `make bench` builds what this needs and calls it. All rows take some three hours on two cores.
#
# ROWS=name,name   only these rows
# RUNS=5           how often a time or an amount of memory is measured: more than once, if need be, its scene
# REST=600         for how many seconds writes at rest are counted
# LEASE=120        for how many seconds writes of the lease are
# STORM=60         for how many seconds the platform throttles
# FINISHED=number  how many finished exports, instead of 10,000 or 100,000
set -euo pipefail

log() { sed -n "s/^$1[^:]*: *//p" "$2" | head -n 1; }
echo "# $(nproc) cores ($(log 'model name' /proc/cpuinfo)), $(log MemTotal /proc/meminfo) of memory"
# What measures is built as the tests are, which it shares most of its code with.
CARGO_INCREMENTAL=0 exec cargo bench --quiet --profile dev --bench scale
