#!/bin/sh
# Puts a release together in target/release-VERSION: the module, the command for two architectures, images, bills of
# materials, provenance and sums. All is a function of the commit and of the toolchain.
#
#   release.sh         builds it
#   release.sh again   builds it a second time, in another folder and by another path to cargo's, and compares all bytes
#
#   SOURCE_DATE_EPOCH   the time of the release, if it is not that of the commit
#   SOURCE_URL          where the sources are, for the provenance
#   BUILDER             who builds, as a URI, for the provenance
#
# The command is linked statically, with the linker of the Rust toolchain: no compiler for C is asked for.
set -eu
# Not by a link: what is compiled knows where it really is.
cd "$(dirname "$0")/.." && cd "$(pwd -P)"

# OCI's names of architectures, and Rust's.
ARCHITECTURES="amd64=x86_64-unknown-linux-musl arm64=aarch64-unknown-linux-musl"

fail() {
    echo "release: $*" >&2
    exit 1
}

case ${1:-} in
'' | again) ;;
*)
    echo "usage: $0 [again]" >&2
    exit 2
    ;;
esac
command -v rustup >/dev/null || fail "rustup is missing: other toolchains give other bytes, see https://rustup.rs"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
revision=$(git rev-parse HEAD) || fail "a release is built from a commit"
# What is not committed is in no revision that provenance could name.
[ -z "$(git status --porcelain)" ] || fail "there are changes that are not committed: git status"
# What a machine says to cargo and rustup, and no commit does, would make other bytes.
for name in $(env | sed -n 's/^\(CARGO_\(BUILD\|ENCODED\|INCREMENTAL\|PROFILE\|TARGET_[A-Z0-9]*_\)[A-Z0-9_]*\|RUST[A-Z_]*FLAGS\|RUSTC[A-Z_]*\|RUSTUP_TOOLCHAIN\)=.*/\1/p'); do
    unset "$name"
done
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH
out=target/release-$version
target_dir=${CARGO_TARGET_DIR:-target}

# command_for ARCHITECTURE TARGET: builds the command and prints what the program below is told of it.
command_for() {
    libdir=$(rustc --print target-libdir --target "$2")
    [ -d "$libdir" ] || rustup target add "$2" >&2 || fail "rustup could not add $2"
    # Paths of the machine that builds would end up in panic messages.
    RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$(pwd)=/portcullis \
        -Clinker=rust-lld -Clink-self-contained=yes" \
        cargo build --locked --profile shipped -p portcullis-cli --target "$2" >&2 || fail "the command was not built for $2"
    echo "--command $1=$target_dir/$2/shipped/portcullis"
}

# tree CRATE TARGET [ARGUMENTS]: the crates that are built in, with their licences.
tree() {
    crate=$1
    for_target=$2
    shift 2
    cargo tree --locked --package "$crate" --target "$for_target" --edges normal,no-proc-macro --prefix depth --format '{p}|{l}' "$@"
}

build() {
    TOOLCHAIN=rustup WASM_OPT='' envoy/build.sh
    commands=
    for each in $ARCHITECTURES; do
        told=$(command_for "${each%%=*}" "${each#*=}")
        commands="$commands $told"
    done
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    tree portcullis-proxy-wasm wasm32-wasip1 --features own-exports >"$work/module"
    for each in $ARCHITECTURES; do
        tree portcullis-cli "${each#*=}"
    done >"$work/command"
    schema=docs/schema/portcullis.schema.json
    [ -f $schema ] || schema=
    rm -rf "$out"
    # shellcheck disable=SC2086
    cargo run --quiet --locked -p portcullis-release -- --module target/portcullis.wasm $commands \
        --module-tree "$work/module" --command-tree "$work/command" --chart envoy/helm/portcullis ${schema:+--schema "$schema"} \
        --lock Cargo.lock --toolchain rust-toolchain.toml \
        --rustc "$(rustc --version)" --revision "$revision" --epoch "$SOURCE_DATE_EPOCH" --version "$version" \
        ${SOURCE_URL:+--source "$SOURCE_URL"} ${BUILDER:+--builder "$BUILDER"} --out "$out"
    for each in $ARCHITECTURES; do
        chmod 755 "$out/portcullis-$version-linux-${each%%=*}"
    done
    # That of this machine runs.
    case $(uname -m) in
    x86_64) own=amd64 ;;
    aarch64) own=arm64 ;;
    *) own= ;;
    esac
    if [ -n "$own" ]; then
        says=$("$out/portcullis-$version-linux-$own" --version) || fail "the command does not run"
        case $says in
        "portcullis $version "*) ;;
        *) fail "the command is of another version: $says" ;;
        esac
    fi
    (cd "$out" && sha256sum --quiet -c SHA256SUMS)
    echo "$out:"
    (cd "$out" && cat SHA256SUMS)
}

if [ "${1:-}" != again ]; then
    build
    exit
fi

grep -qs "$revision" "$out/portcullis-$version.intoto.json" || envoy/release.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
second=$folder/somewhere-else/of-another-length
mkdir -p "${second%/*}"
git clone --quiet --no-hardlinks . "$second"
git -C "$second" checkout --quiet "$revision"
ln -s "${CARGO_HOME:-$HOME/.cargo}" "$folder/cargo"
env -u CARGO_TARGET_DIR CARGO_HOME="$folder/cargo" "$second/envoy/release.sh" >/dev/null
differs=0
for file in "$out"/*; do
    cmp "$file" "$second/$out/${file##*/}" || differs=1
done
[ "$(ls "$out")" = "$(ls "$second/$out")" ] || differs=1
[ $differs = 0 ] || fail "the second build has other bytes"
echo "the same bytes: $(ls "$out" | wc -l) files of $revision, built in two folders"
