#!/bin/sh
# Builds the playground, and prints the folder with the page.
#
#   build.sh [MODULE]   into $PLAYGROUND_OUT, else target/playground
#   build.sh packages   prints the folder with what it is built of, and no more
#
# Packages are $PLAYGROUND_PACKAGES, else those of package-lock.json, in .cache/playground. Node.js is $NODE, else node on PATH.
set -eu
cd "$(dirname "$0")/../.."

fail() {
    echo "playground: $*" >&2
    exit 1
}

module=${1:-target/portcullis.wasm}
out=${PLAYGROUND_OUT:-target/playground}
[ "$module" = packages ] || [ -f "$module" ] || fail "there is no $module; make build makes it"
node=${NODE:-node}
command -v "$node" >/dev/null || fail "there is no Node.js; install Node.js 20 or later, with npm"
"$node" -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' ||
    fail "$("$node" --version) is too old; install Node.js 20 or later, with npm"

lock=$(cksum <docs/playground/package-lock.json)
packages=${PLAYGROUND_PACKAGES:-$(pwd)/.cache/playground/${lock%% *}}
if [ ! -d "$packages" ]; then
    command -v npm >/dev/null || fail "there is no npm, which fetches what the page is built of; install it"
    echo "playground: fetching packages from npm" >&2
    mkdir -p .cache/playground
    staged=$(mktemp -d .cache/playground/staged.XXXXXX)
    trap 'rm -rf "$staged"' EXIT
    cp docs/playground/package.json docs/playground/package-lock.json "$staged"
    # npm compares each package with the hash in the lock.
    (cd "$staged" && npm ci --ignore-scripts --no-audit --no-fund) >"$staged/log" 2>&1 ||
        { cat "$staged/log" >&2; fail "npm could not fetch the packages: no network, or no such packages"; }
    rm "$staged/log"
    chmod 755 "$staged"
    # Another run may have been quicker.
    [ -d "$packages" ] || mv "$staged" "$packages"
fi
if [ "$module" = packages ]; then
    echo "$packages"
    exit
fi
"$node" docs/playground/build.mjs "$packages" "$module" "$out"
echo "$(cd "$out" && pwd)"
