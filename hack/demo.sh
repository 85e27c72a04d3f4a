#!/usr/bin/env bash
# Shows exports run: on a control plane of its own, or on the cluster of the kubeconfig $CLUSTER, in
# a namespace of its own there. `make demo` builds what this needs and calls it.
#
# KEEP=1     leaves everything running until Ctrl-C
# CLUSTER=…  a kubeconfig: runs on that cluster, and removes what it made
set -euo pipefail

root=$(cd -- "$(dirname -- "$0")/.." && pwd)
release=$root/target/release
: "${AEP_EXPORT_OPERATOR_BIN:=$release/aep-export-operator}" "${AEP_SIMULATOR_BIN:=$release/aep-simulator}"
control_plane=${AEP_CONTROL_PLANE_BIN:-$release/control-plane}
if [[ -z ${DEMO_INSIDE:-} ]]; then
    command -v curl >/dev/null || { echo "demo: no curl: install it" >&2; exit 1; }
    export DEMO_INSIDE=1
    if [[ -n ${CLUSTER:-} ]]; then
        [[ -r $CLUSTER ]] || { echo "demo: CLUSTER=$CLUSTER cannot be read" >&2; exit 1; }
        KUBECONFIG=$(realpath -- "$CLUSTER")
        command -v kubectl >/dev/null || PATH="$("$control_plane" build):$PATH"
        export KUBECONFIG PATH
        exec "$0"
    fi
    echo "demo: starting etcd, kube-apiserver and kube-controller-manager"
    exec "$control_plane" run -- "$0"
fi

name=aep-demo
[[ -z ${CLUSTER:-} ]] || name=aep-demo-$RANDOM
work=$(mktemp -d)
guards=()
made_crds=

# Everything that was started or made goes, however this ends.
clean_up() {
    trap - EXIT INT TERM
    set +e
    exec 3>&- 2>/dev/null
    if [[ -n ${CLUSTER:-} ]]; then
        # With the operator running, so that nothing is held that nobody would let go.
        kubectl delete exportjobs,profiledatasets,platformconnections --all --namespace "$name" \
            --timeout 60s >/dev/null 2>&1
    fi
    exec 4>&- 5>&- 2>/dev/null
    [[ ${#guards[@]} -eq 0 ]] || wait "${guards[@]}" 2>/dev/null
    if [[ -n ${CLUSTER:-} ]]; then
        rbac | kubectl delete --ignore-not-found --timeout 60s -f - >/dev/null
        [[ -z $made_crds ]] || kubectl delete --ignore-not-found -f "$root/crds" >/dev/null
    fi
    rm -rf -- "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

rbac() { sed "s/aep-export-operator/$name/g" "$root/deploy/rbac.yaml"; }
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# Runs a command until file descriptor $1 of this shell is closed, which every end of it does.
guard() {
    local descriptor=$1 label=$2
    shift 2
    mkfifo "$work/$label.fifo"
    "$control_plane" guard --log "$work/$label.log" -- "$@" <"$work/$label.fifo" >/dev/null &
    guards+=($!)
    eval "exec $descriptor>\"$work/$label.fifo\""
}

# Waits until a command succeeds, and shows a log if it never does.
until_true() {
    local what=$1 log=$2 tries
    shift 2
    for ((tries = 0; tries < 300; tries++)); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    echo "demo: waited in vain for $what" >&2
    cat "$log" >&2
    exit 1
}

say "A simulated tenant of Adobe Experience Platform"
guard 4 simulator "$AEP_SIMULATOR_BIN" --listen 127.0.0.1:0 --clock-scale 10 --job-duration 60
until_true "the simulator" "$work/simulator.log" grep -q 'listening on' "$work/simulator.log"
tenant=$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p' "$work/simulator.log" | head -n 1)
echo "$tenant"

say "CRDs, and a ServiceAccount with the rights of deploy/rbac.yaml"
if kubectl get -f "$root/crds" >/dev/null 2>&1; then
    echo "the CRDs are there"
else
    made_crds=1
    kubectl apply -f "$root/crds"
fi
kubectl wait --for condition=Established -f "$root/crds" --timeout 30s >/dev/null
rbac | kubectl apply -f -
operator_config=$work/operator.kubeconfig
(
    umask 077
    kubectl config view --raw --minify --flatten >"$operator_config"
)
user=$(kubectl config view --minify -o jsonpath='{.users[0].name}')
kubectl --kubeconfig "$operator_config" config unset "users" >/dev/null
token=$(kubectl create token "$name" --namespace "$name" --duration 1h)
kubectl --kubeconfig "$operator_config" config set-credentials "$user" --token "$token" >/dev/null

say "The operator"
port=$((20000 + RANDOM % 20000))
guard 5 operator env KUBECONFIG="$operator_config" "$AEP_EXPORT_OPERATOR_BIN" run \
    --admin-address "127.0.0.1:$port" --watch-namespaces "$name" \
    --allowed-hosts 127.0.0.1 --allow-http \
    --poll-interval-min 500ms --poll-interval-max 1s
until_true "the operator" "$work/operator.log" curl --fail --silent "http://127.0.0.1:$port/readyz"
curl --silent "http://127.0.0.1:$port/readyz"

say "kubectl apply -f examples/demo, and what becomes of it"
# One line for each change of phase or reason, as kubectl's watch brings it.
show_changes() {
    local export job phase reason
    declare -A last=()
    while read -r export job phase reason; do
        [[ $phase != '<none>' && ${last[$export]:-} != "$phase $reason" ]] || continue
        last[$export]="$phase $reason"
        [[ $job != '<none>' ]] && job="job $job" || job=
        printf '%-21s %-11s %-16s %s\n' "$export" "$phase" "$reason" "$job"
    done
}
columns='E:.metadata.name,J:.status.jobId,P:.status.phase,R:.status.conditions[?(@.type=="Ready")].reason'
kubectl get exportjobs --namespace "$name" --watch --no-headers -o custom-columns="$columns" \
    3>&- 4>&- 5>&- > >(show_changes) &
watching=$!
guards+=("$watching")
cat "$root"/examples/demo/*.yaml | sed "s|http://127.0.0.1:8099|$tenant|g" |
    kubectl apply --namespace "$name" -f - >/dev/null
victim=cancelled-by-delete
kubectl wait "exportjob/$victim" --namespace "$name" \
    --for jsonpath='{.status.phase}'=Running --timeout 30s >/dev/null
kubectl delete "exportjob/$victim" --namespace "$name" --timeout 30s
kubectl wait exportjobs --all --namespace "$name" --for condition=Complete --timeout 60s >/dev/null
kill "$watching" 2>/dev/null || true
wait "$watching" 2>/dev/null || true

say "kubectl get aep"
kubectl get aep --namespace "$name"

say "kubectl get events"
kubectl get events.events.k8s.io --namespace "$name" --sort-by .eventTime \
    -o custom-columns='OBJECT:.regarding.name,TYPE:.type,REASON:.reason,NOTE:.note' |
    cut -c 1-140

say "What the tenant's ledger says"
summary=$(curl --fail --silent "$tenant/_simulator/summary")
echo "$summary"
count() { grep -o "\"$1\": *[0-9]*" <<<"$exports" | grep -o '[0-9]*$'; }
exports=$(tr -d '\n' <<<"$summary" | grep -o '"exports": *{[^}]*}')
created=$(count created) succeeded=$(count succeeded) cancelled=$(count cancelled)
exports=$summary
duplicates=$(count duplicateRequestIds)

if [[ -n ${KEEP:-} ]]; then
    say "Still running. In another terminal:"
    echo "export KUBECONFIG=$KUBECONFIG PATH=$(dirname -- "$(command -v kubectl)"):\$PATH"
    echo "kubectl config set-context --current --namespace $name"
    echo "kubectl get aep"
    echo "The operator's log is $work/operator.log, its metrics http://127.0.0.1:$port/metrics,"
    echo "the tenant's ledger $tenant/_simulator/ledger."
    echo "Ctrl-C here ends it all."
    echo "demo: exports=$created succeeded=$succeeded cancelled=$cancelled duplicates=$duplicates"
    wait "${guards[1]}"
    exit 0
fi
clean_up
echo
echo "demo: exports=$created succeeded=$succeeded cancelled=$cancelled duplicates=$duplicates"
[[ $duplicates -eq 0 && $cancelled -eq 1 && $((succeeded + cancelled)) -eq $created ]]
