#!/bin/sh
# Builds the filter into target/portcullis.wasm, or with the argument `lint` runs clippy on it as
# it is built: parts of it exist for wasm only. With `quick` it builds a module that is less optimised
# in seconds, into target/portcullis-quick.wasm; with `minimal` a small one, without access rules, credentials
# but tokens, JSON Schema, regular expressions and signatures that it checks itself, into
# target/portcullis-minimal.wasm; with `with-faults` one for tests alone, whose allocations can be made to fail
# and which has a policy that waits, into target/portcullis-faults.wasm.
#
#   TOOLCHAIN=rustup   the toolchain of rust-toolchain.toml, with its wasm32-wasip1 target
#   TOOLCHAIN=debian   Debian's compiler; the standard library is built from its source package
#   TOOLCHAIN=auto     rustup if it has the target or can get it, otherwise debian (default)
#
# NAMES=1 leaves the names of functions in the module, for whoever looks into it; it is not for shipping.
#
# What the linker makes is not what a proxy loads: finish.rs says what is done to it.
#
# WASM_OPT=wasm-opt, or a path, has Binaryen's wasm-opt make the module smaller. Not by default: the module
# is a tenth smaller, takes more memory in Envoy, and has other bytes with each version of wasm-opt.
set -eu
# Not by a link: what is compiled knows where it really is.
cd "$(dirname "$0")/.." && cd "$(pwd -P)"

TARGET=wasm32-wasip1
DEBIAN_PACKAGES="rustc-web cargo-web rust-web-src wasi-libc lld-19"
action=${1:-build}
out=target/portcullis.wasm
features="--features own-exports"
profile=release
case $action in
build) ;;
quick)
    profile=quick
    out=target/portcullis-quick.wasm
    ;;
minimal)
    features="--no-default-features --features own-exports"
    profile=minimal
    out=target/portcullis-minimal.wasm
    ;;
with-faults)
    # Small: a new process of Envoy compiles it in a fraction of the time.
    features="--features own-exports,fault-injection"
    profile=minimal
    out=target/portcullis-faults.wasm
    ;;
lint) DEBIAN_PACKAGES="$DEBIAN_PACKAGES rust-web-clippy" ;;
*)
    echo "usage: $0 [build|quick|lint|minimal|with-faults]" >&2
    exit 2
    ;;
esac
target_dir=${CARGO_TARGET_DIR:-target}
names=
[ -z "${NAMES:-}" ] || names="--config profile.$profile.package.portcullis-proxy-wasm.strip=\"debuginfo\""

fail() {
    echo "build: $*" >&2
    exit 1
}

has_target() {
    libdir=$(rustc --print target-libdir --target $TARGET 2>/dev/null) && [ -d "$libdir" ]
}

rustup_ready() {
    command -v cargo >/dev/null || return 1
    has_target && return
    command -v rustup >/dev/null || return 1
    echo "build: adding $TARGET to the toolchain" >&2
    rustup target add $TARGET >&2 && has_target
}

debian_ready() {
    command -v dpkg >/dev/null || fail "$1, and this is not Debian"
    missing=
    for package in $DEBIAN_PACKAGES; do
        dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || fail "$1. With Debian's packages it works too: sudo apt-get install$missing"
    echo "build: installing$missing" >&2
    export DEBIAN_FRONTEND=noninteractive
    # The index may be absent or old, so a failure is tried once more with a fresh one.
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends $missing >&2 ||
        { apt-get update >&2 && apt-get install -y --no-install-recommends $missing >&2; } ||
        fail "$1, and apt-get install$missing failed"
}

# Paths of the machine that builds would end up in the panic messages of the module. The linker leaves room for
# numbers of five bytes wherever it writes one, and most need two or three: it writes them short where no debug
# information has to find them again, so profiles strip that at least.
flags="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$(pwd)=/portcullis \
    -Clink-arg=--compress-relocations"

with_rustup() {
    if [ "$action" = lint ]; then
        cargo clippy --locked --profile $profile -p portcullis-proxy-wasm --lib --target $TARGET --features own-exports -- -D warnings
        exit
    fi
    # shellcheck disable=SC2086
    RUSTFLAGS=$flags cargo build --locked --profile $profile -p portcullis-proxy-wasm --lib --target $TARGET $features $names
    built=$target_dir/$TARGET/$profile/portcullis.wasm
    rustc=rustc
}

with_debian() {
    # Another release of clippy knows other lints; those that the project denies count, its warnings do not.
    if [ "$action" = lint ]; then
        debian_cargo clippy
        exit
    fi
    debian_cargo build
    built=$target_dir/debian/$TARGET/$profile/portcullis.wasm
    rustc=/usr/bin/rustc
}

debian_cargo() {
    # shellcheck disable=SC2086
    env -u RUSTFLAGS \
        PATH="/usr/bin:$PATH" \
        RUSTC=/usr/bin/rustc \
        RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld-19 \
        CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="-Clinker-flavor=wasm-ld -Clink-self-contained=no -Lnative=/usr/lib/wasm32-wasi $flags" \
        /usr/bin/cargo "$1" --locked --profile $profile -p portcullis-proxy-wasm --lib --target $TARGET \
        -Zbuild-std=std,panic_abort $features $names --target-dir "$target_dir/debian"
}

case ${TOOLCHAIN:-auto} in
rustup)
    rustup_ready || fail "no cargo with the target $TARGET; see https://rustup.rs, then: rustup target add $TARGET"
    with_rustup
    ;;
debian)
    debian_ready "Debian's packages for Rust are missing"
    with_debian
    ;;
auto)
    if rustup_ready; then
        with_rustup
    else
        debian_ready "no cargo with the target $TARGET (see https://rustup.rs)"
        with_debian
    fi
    ;;
*) fail "TOOLCHAIN is rustup, debian or auto, not $TOOLCHAIN" ;;
esac

# The program is for this machine, and made anew when its source has changed.
finish() {
    program=$target_dir/finish
    if [ ! -x "$program" ] || [ envoy/finish.rs -nt "$program" ]; then
        env -u RUSTFLAGS "$rustc" --edition 2024 -O -o "$program" envoy/finish.rs || fail "envoy/finish.rs does not compile"
    fi
    "$program" "$built" "$built.finished" || fail "$built stays as it was linked"
    built=$built.finished
}
finish

# What rustc's target has, and nothing that a host may lack.
WASM_FEATURES="--mvp-features --enable-bulk-memory --enable-multivalue --enable-mutable-globals \
    --enable-nontrapping-float-to-int --enable-reference-types --enable-sign-ext"

optimise() {
    [ -n "${WASM_OPT:-}" ] || return 0
    version=$("$WASM_OPT" --version 2>/dev/null) || fail "$WASM_OPT is no wasm-opt that runs (Debian: binaryen)"
    # Half a minute that a module which has been optimised before need not take.
    small=$built.optimised
    made="$version -O3 $(cksum <"$built")"
    if [ "$(cat "$small.by" 2>/dev/null)" != "$made" ]; then
        rm -f "$small.by"
        # shellcheck disable=SC2086
        "$WASM_OPT" $WASM_FEATURES -O3 "$built" -o "$small" || fail "$version failed"
        echo "$made" >"$small.by"
    fi
    echo "build: optimised by $version" >&2
    built=$small
}

case $action in build | minimal) optimise ;; esac
mkdir -p target
cmp -s "$built" $out || { cp "$built" $out.new && mv $out.new $out; }
echo "$out: $(($(wc -c <$out))) bytes, $(($(gzip -c $out | wc -c))) with gzip"
