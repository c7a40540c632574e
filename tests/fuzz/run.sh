#!/bin/sh
# Searches for bytes that break a law of tests/src/fuzz:
#
#   tests/fuzz/run.sh TARGET SECONDS
#
# Any rustc will do, stable or not: what libFuzzer needs of the compiler, counters at each branch,
# is a pass of LLVM. One process at a time, so that there is a core left for others.
set -eu
cd "$(dirname "$0")/../.."

fail() {
    echo "fuzz: $*" >&2
    exit 2
}

target=${1:-}
seconds=${2:-60}
targets=$(ls tests/fuzz/targets | sed 's/\.rs$//' | tr '\n' ' ')
case " $targets" in
*" $target "*) ;;
*) fail "which target? make fuzz TARGET=token SECONDS=60; there are: $targets" ;;
esac
case $seconds in
'' | *[!0-9]*) fail "SECONDS is a number, not $seconds" ;;
esac

cargo=${CARGO:-cargo}
$cargo --version >/dev/null 2>&1 || fail "no cargo; see https://rustup.rs, or: apt-get install cargo"
command -v c++ >/dev/null || fail "no C++ compiler, which libFuzzer is built with: apt-get install g++"
host=$(${RUSTC:-rustc} -vV 2>/dev/null | sed -n 's/^host: //p')
host=${host:-$(uname -m)-unknown-linux-gnu}

# Not for build scripts and macros, hence --target. cargo-fuzz passes the same, and a sanitizer
# on top that finds what safe Rust cannot do.
flags="--cfg fuzzing -Cpasses=sancov-module"
for flag in level=4 inline-8bit-counters pc-table trace-compares; do
    flags="$flags -Cllvm-args=-sanitizer-coverage-$flag"
done
out=$(pwd)/target/fuzz
# The versions of the crates are those of the module.
cp Cargo.lock tests/fuzz/Cargo.lock
RUSTFLAGS=$flags $cargo build --release --manifest-path tests/fuzz/Cargo.toml \
    --target "$host" --target-dir "$out" --bin "$target" ||
    fail "rustc cannot build it so; a toolchain of rustup can: https://rustup.rs"
bin=$out/$host/release

corpus=$out/corpus/$target
mkdir -p "$corpus" "$out/findings"
$cargo run --quiet --locked -p portcullis-tests --bin seeds -- "$target" "$out/begin/$target"

dictionary=tests/fuzz/dictionaries/$target.dict
if [ ! -e "$dictionary" ]; then
    # The words of the documents that the cases hold.
    dictionary=$out/$target.dict
    cp tests/fuzz/dictionaries/json.dict "$dictionary"
    grep -rhoE '"[a-z_0-9]+": *' tests/cases | sed 's/"/\\"/g; s/^/"/; s/: *$/:"/' | sort -u >>"$dictionary"
fi

exec nice -n 19 "$bin/$target" "$corpus" "tests/fuzz/seeds/$target" "$out/begin/$target" \
    -dict="$dictionary" -artifact_prefix="$out/findings/$target-" \
    -max_total_time="$seconds" -max_len=8192 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1
