#!/usr/bin/env bash
# Makes the image of a binary, with the libraries that the binary is linked with and nothing else,
# and a bill of materials (CycloneDX) beside it. `make image` builds what this needs and calls it.
#
#   hack/image.sh BINARY DIRECTORY
#
# writes DIRECTORY/NAME-ARCHITECTURE.tar, an archive that `docker load`, `ctr images import`,
# `kind load image-archive` and skopeo read, and .digest and .cdx.json beside it.
#
# IMAGE=…              the image's name (default: localhost/NAME:VERSION)
# SOURCE_DATE_EPOCH=…  the time of everything in it (default: the commit's)
# CA_CERTIFICATES=…    the certificate authorities that it trusts (default: this machine's)
set -euo pipefail

root=$(cd -- "$(dirname -- "$0")/.." && pwd)
binary=$(realpath -- "$1")
mkdir -p -- "$2"
output=$(realpath -- "$2")
name=$(basename -- "$binary")
# No node takes long to pull what is smaller.
limit=20000000
user=65532:65532

die() { echo "image: $*" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

command -v jq >/dev/null || die "no jq: apt-get install jq"
if command -v buildah >/dev/null; then
    tool=buildah
elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    tool=docker
else
    die "there is neither buildah nor a docker that answers: apt-get install buildah"
fi

case $(LC_ALL=C readelf --file-header "$binary" | sed -n 's/^ *Machine: *//p') in
*X86-64*) architecture=amd64 triple=x86_64-linux-gnu ;;
AArch64) architecture=arm64 triple=aarch64-linux-gnu ;;
*) die "$binary is for a machine that no image is made for" ;;
esac
# The compiler knows where the libraries of the binary's machine are.
cc=${CC:-cc}
[[ $($cc -dumpmachine) == "${triple%%-*}"-*linux-gnu ]] || cc=$triple-gcc
command -v "$cc" >/dev/null || die "no $cc: apt-get install gcc-${triple//_/-}"

metadata=$work/metadata.json
cargo metadata --manifest-path "$root/Cargo.toml" --format-version 1 --locked \
    --filter-platform "${triple/-linux/-unknown-linux}" >"$metadata"
package() {
    jq --raw-output --arg name "$name" \
        ".packages[] | select(.name == \$name and .source == null) | .$1" "$metadata"
}
version=$(package version)
image=${IMAGE:-localhost/$name:$version}
git=(git -C "$root" -c safe.directory="$root")
# What is not committed has no name.
revision=
if "${git[@]}" diff --quiet HEAD 2>/dev/null; then revision=$("${git[@]}" rev-parse HEAD); fi
: "${SOURCE_DATE_EPOCH:=$("${git[@]}" log -1 --format=%ct 2>/dev/null || true)}"
[[ -n $SOURCE_DATE_EPOCH ]] || die "no commit to take the time from: set SOURCE_DATE_EPOCH"
export SOURCE_DATE_EPOCH

ca=${CA_CERTIFICATES:-}
if [[ -z $ca ]]; then
    # Of Debian, and of Fedora.
    for ca in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
        [[ ! -r $ca ]] || break
    done
fi
[[ -r $ca ]] ||
    die "no certificate authorities: apt-get install ca-certificates, or set CA_CERTIFICATES"

needed() { LC_ALL=C readelf --dynamic "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }

# What the image has.
files=$work/context/root
libraries=()
install -D --mode 0755 "$binary" "$files/$name"
interpreter=$(LC_ALL=C readelf --program-headers "$binary" |
    sed -n 's/.*program interpreter: \(.*\)\]/\1/p')
folder=/lib64
[[ -z $($cc -print-multiarch) ]] || folder=/lib/$triple
queue=("$binary")
while [[ ${#queue[@]} -gt 0 ]]; do
    for library in $(needed "${queue[0]}"); do
        path=$($cc -print-file-name="$library")
        [[ $path == /* ]] || die "$cc knows no $library"
        # The loader itself stands where the binary asks for it.
        target=$folder/$library
        [[ $library != "${interpreter##*/}" ]] || target=$interpreter
        [[ ! -e $files$target ]] || continue
        install -D --mode 0755 "$(realpath -- "$path")" "$files$target"
        libraries+=("$(realpath -- "$path")")
        queue+=("$path")
    done
    queue=("${queue[@]:1}")
done
install -D --mode 0644 "$ca" "$files/etc/ssl/certs/ca-certificates.crt"
install -D --mode 0644 "$root/LICENSE" "$files/usr/share/doc/$name/LICENSE"
# Names in /etc/hosts (a pod's hostAliases) come before those in DNS.
printf 'hosts: files dns\n' >"$files/etc/nsswitch.conf"
find "$files" -type d -exec chmod 0755 {} +
find "$files" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
size=$(find "$files" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
[[ $size -lt $limit ]] || die "$size bytes are more than $limit"

printf 'FROM scratch\nCOPY root/ /\nUSER %s\nENTRYPOINT ["/%s"]\n' "$user" "$name" \
    >"$work/context/Containerfile"
labels=(
    org.opencontainers.image.title="$name"
    org.opencontainers.image.description="$(package description)"
    org.opencontainers.image.licenses="$(package license)"
    org.opencontainers.image.version="$version"
)
[[ -z $revision ]] || labels+=(org.opencontainers.image.revision="$revision")

# Builds the image into $1, and prints its digest.
build() {
    local arguments=() label
    for label in "${labels[@]}"; do arguments+=(--label "$label"); done
    arguments+=(--platform "linux/$architecture" --file "$work/context/Containerfile")
    if [[ $tool == buildah ]]; then
        local store=(--root "$work/store" --runroot "$work/run" --storage-driver vfs)
        buildah "${store[@]}" build --quiet --isolation chroot --identity-label=false --no-cache \
            --timestamp "$SOURCE_DATE_EPOCH" --tag "$image" "${arguments[@]}" \
            "$work/context" >/dev/null
        buildah "${store[@]}" push --quiet --format oci --digestfile "$1.digest" "$image" \
            "oci-archive:$1:$image"
        cat "$1.digest"
        rm -rf -- "$work/store" "$work/run" "$1.digest"
    else
        docker build --quiet --no-cache --tag "$image" "${arguments[@]}" "$work/context"
        docker save --output "$1" "$image"
    fi
}

archive=$output/$name-$architecture.tar
digest=$(build "$work/first.tar")
again=$(build "$work/again.tar")
[[ $digest == "$again" ]] || die "two builds differ: $digest and $again"

# What it is made of: the crates, and what is taken from this machine with the package it is of.
owner() { dpkg-query --search "$1" 2>/dev/null | head -n 1 | sed 's/:.*//' || true; }
system() {
    local path package
    for path in "${libraries[@]}" "$ca"; do
        # Since /lib is a link, a package may know a file by its other name.
        package=$(owner "$path")
        [[ -n $package ]] || package=$(owner "${path#/usr}")
        [[ $path != "$ca" ]] || package='ca-certificates'
        dpkg-query --show --showformat '${Package} ${Version} ${Architecture}\n' "$package" 2>/dev/null ||
            printf '%s unknown %s\n' "${path##*/}" "$architecture"
    done | sort --unique
}
digest_of() { sha256sum "$1" | cut -d ' ' -f 1; }
system | jq --raw-input --null-input \
    '[inputs | split(" ") | {name: .[0], version: .[1], architecture: .[2]}]' >"$work/system.json"
jq --sort-keys --from-file "$root/hack/image.jq" \
    --arg name "$name" --arg digest "$digest" --arg binary "$(digest_of "$binary")" \
    --arg time "$(date --utc --date "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" \
    --rawfile lock "$root/Cargo.lock" --slurpfile system "$work/system.json" \
    "$metadata" >"$work/bill.json"

mv -- "$work/first.tar" "$archive"
mv -- "$work/bill.json" "${archive%.tar}.cdx.json"
echo "$digest" >"${archive%.tar}.digest"
echo "image: $archive: $image, $digest, $size bytes in $(find "$files" -type f | wc -l) files," \
    "twice the same; $(jq '.components | length' "${archive%.tar}.cdx.json") components"
