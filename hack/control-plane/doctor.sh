#!/bin/sh
# Says what this machine lacks to build and test the project, one line each with the remedy, before
# anything is compiled; with `image`, to make its image; with `node`, to run a node. Exits 1 if
# something is missing.
set -u

directory=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
missing=0

lacks() {
    printf 'doctor: %s\n' "$1" >&2
    missing=1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# Rust links with cc, and the TLS library is C: both the compiler and the C library's headers count.
compiles_c() {
    scratch=$(mktemp -d) || return 1
    printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' >"$scratch/a.c"
    "${CC:-cc}" -o "$scratch/a" "$scratch/a.c" >/dev/null 2>&1
    result=$?
    rm -rf "$scratch"
    return $result
}

has_control_plane() {
    [ -n "${KUBEBUILDER_ASSETS:-}" ] || return 1
    for binary in etcd kube-apiserver kube-controller-manager kubectl; do
        [ -x "$KUBEBUILDER_ASSETS/$binary" ] || return 1
    done
}

# Whether version $1 is older than $2, by major and minor number.
older() {
    major=${1%%.*} rest=${1#*.} minor=${rest%%[!0-9]*}
    needed_major=${2%%.*} rest=${2#*.} needed_minor=${rest%%[!0-9]*}
    case $major$minor in '' | *[!0-9]*) return 1 ;; esac
    [ "$major" -lt "$needed_major" ] ||
        { [ "$major" -eq "$needed_major" ] && [ "$minor" -lt "$needed_minor" ]; }
}

check_go() {
    needed=$(sed -n 's/^go //p' "$directory/go.mod")
    remedy="install Go $needed or newer from https://go.dev/dl, or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver, kube-controller-manager and kubectl"
    if ! has go; then
        lacks "no go, which builds etcd and Kubernetes: $remedy"
        return
    fi
    version=$(cd / && go env GOVERSION 2>/dev/null)
    version=${version#go}
    older "$version" "$needed" || return 0
    # Since 1.21, Go fetches the version that go.mod asks for, unless it is told not to.
    if older "$version" 1.21 || [ "$(cd / && go env GOTOOLCHAIN)" = local ]; then
        lacks "go is $version, which is too old: $remedy"
    fi
}

check_image() {
    has buildah || { has docker && docker info >/dev/null 2>&1; } ||
        lacks "neither buildah nor a docker that answers, which build images: apt-get install buildah"
    has jq || lacks "no jq, which writes the bill of materials: apt-get install jq"
    has readelf || lacks "no readelf, which knows the libraries of a binary: apt-get install binutils"
    [ -r "${CA_CERTIFICATES:-/etc/ssl/certs/ca-certificates.crt}" ] ||
        [ -r /etc/pki/tls/certs/ca-bundle.crt ] ||
        lacks "no certificate authorities for the image: apt-get install ca-certificates, or set CA_CERTIFICATES"
}

check_node() {
    [ "$(uname -s)" = Linux ] || lacks "no Linux, which nodes run on: use a virtual machine"
    [ "$(id -u)" -eq 0 ] || lacks "no root, which starts containers: run it as root, in a virtual machine for one"
    has unshare || lacks "no unshare, which makes namespaces: apt-get install util-linux"
    has ip || lacks "no ip, which makes the network of pods: apt-get install iproute2"
    has tar || lacks "no tar, which packs an image: apt-get install tar"
    pkg-config --exists libseccomp 2>/dev/null ||
        lacks "no libseccomp or no pkg-config, with which runc is built: apt-get install libseccomp-dev pkg-config"
    # Debian's module is loaded by the first mount.
    grep -qw overlay /proc/filesystems 2>/dev/null || modprobe --quiet overlay 2>/dev/null ||
        lacks "no overlayfs in the kernel, which containers have their files on"
}

for part in "$@"; do
    case $part in
    image) check_image ;;
    node) check_node ;;
    *) lacks "nothing is known of $part" ;;
    esac
done

has cargo || lacks "no cargo, which builds the project: install Rust from https://rustup.rs"
compiles_c || lacks "no C compiler (${CC:-cc}), with which Rust links: apt-get install build-essential, dnf install gcc, or xcode-select --install"
has make || lacks "no make, which runs the project's commands: apt-get install make, or dnf install make"
has git || lacks "no git, which Go needs for modules that no proxy has: apt-get install git, or dnf install git"
has_control_plane || check_go

exit "$missing"
