#!/usr/bin/env bash
# Installs the chart on a whole node, and takes a release through its life there. `make e2e` builds
# what this needs and calls it, as root: the node is made of plain processes, and leaves nothing.
#
# KUBECONFIG=…  with kind in PATH: on that cluster of kind's instead, as anybody
set -uo pipefail
# Of other commands; here they would mean something else.
unset IMAGE AEP_CONTROL_PLANE_DIR

root=$(cd -- "$(dirname -- "$0")/.." && pwd)
cd -- "$root" || exit 1
images=$root/target/e2e/images
logs=$root/target/e2e/logs
rm -rf -- "$root/target/e2e"
mkdir -p -- "$images" "$logs"

on_kind=
if [[ -n ${KUBECONFIG:-} ]] && command -v kind >/dev/null; then
    on_kind=1
    hack/control-plane/doctor.sh image || exit 1
else
    hack/control-plane/doctor.sh image node || exit 1
fi

for binary in "$AEP_EXPORT_OPERATOR_BIN" "$AEP_SIMULATOR_BIN"; do
    hack/image.sh "$binary" "$images" || exit 1
done
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
export AEP_E2E_IMAGES=$images
export AEP_E2E_IMAGE=localhost/aep-export-operator:$version
export AEP_E2E_SIMULATOR_IMAGE=localhost/aep-simulator:$version

# Here, as the node has no network by which cargo could fetch anything.
cargo test --quiet --test node --package aep-export-operator --package aep-control-plane --no-run || exit 1

AEP_HELM_BIN=$("$AEP_CONTROL_PLANE_BIN" helm) || exit 1
export AEP_HELM_BIN

run=()
if [[ -n $on_kind ]]; then
    command -v kubectl >/dev/null || PATH="$("$AEP_CONTROL_PLANE_BIN" build):$PATH" || exit 1
    context=$(kubectl config current-context) || exit 1
    [[ $context == kind-* ]] || { echo "e2e: $context is no cluster of kind's" >&2; exit 1; }
    for archive in "$images"/*.tar; do
        kind load image-archive "$archive" --name "${context#kind-}" || exit 1
    done
else
    run=("$AEP_CONTROL_PLANE_BIN" run --node --logs "$logs")
    for archive in "$images"/*.tar; do run+=(--image "$archive"); done
    run+=(--)
fi
log=$(mktemp)
trap 'rm -f -- "$log"' EXIT
status=0
if [[ -z $on_kind ]]; then
    cargo test --quiet --package aep-control-plane --test node -- --ignored || status=1
fi
"${run[@]}" cargo test --quiet --test node -- --ignored --nocapture 2>&1 | tee "$log" || status=1
sums=$(grep --only-matching '^e2e: passed=.*' "$log" | tail --lines 1)
[[ $sums == *" failed=0" || $status -ne 0 ]] || status=1
echo "${sums:-e2e: passed=0 failed=1}"
exit "$status"
