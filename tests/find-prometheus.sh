#!/bin/sh
# Prints the path of Prometheus; promtool is beside it. The tests of alerts and of the dashboard run in both.
#
#   find-prometheus.sh   $PROMETHEUS, else prometheus on PATH, else Debian's package
#
# The package is unpacked into .cache/prometheus; nothing is installed, and no service is started.
set -eu
cd "$(dirname "$0")/.."

instead="Or install Prometheus yourself and set PROMETHEUS=/path/to/prometheus."

fail() {
    echo "find-prometheus: $*" >&2
    exit 1
}

if [ -n "${PROMETHEUS:-}" ]; then
    path=$(command -v "$PROMETHEUS") || fail "PROMETHEUS=$PROMETHEUS is not a program"
    case $path in
    /*) echo "$path" ;;
    *) echo "$(pwd)/$path" ;;
    esac
    exit
fi
if command -v prometheus; then
    exit
fi

cache=$(pwd)/.cache
prometheus=$cache/prometheus/usr/bin/prometheus
if [ -x "$prometheus" ]; then
    echo "$prometheus"
    exit
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    fail "there is no prometheus, and no apt-get to fetch Debian's. $instead"
fi
echo "find-prometheus: fetching Debian's prometheus" >&2
mkdir -p "$cache"
staged=$(mktemp -d "$cache/prometheus.XXXXXX")
trap 'rm -rf "$staged"' EXIT
mkdir -p "$staged/lists/partial"

# The program needs nothing of what the package depends on.
download() {
    (cd "$staged" && apt-get download --quiet "$@" prometheus) >"$staged/log" 2>&1
}

# The machine's lists of packages may be missing, or too old.
own_lists="-o Dir::State::lists=$staged/lists"
# shellcheck disable=SC2086
download ||
    { apt-get update -qq -o Debug::NoLocking=true $own_lists >"$staged/log" 2>&1 && download $own_lists; } ||
    { cat "$staged/log" >&2 && fail "apt-get could not fetch prometheus: no network, or no such package. $instead"; }
for package in "$staged"/*.deb; do
    dpkg-deb --extract "$package" "$staged/root"
done
chmod 755 "$staged/root"
"$staged/root/usr/bin/prometheus" --version >/dev/null 2>&1 || fail "Debian's prometheus does not run on this machine. $instead"

# Another run may have been quicker.
[ -d "$cache/prometheus" ] || mv "$staged/root" "$cache/prometheus"
echo "$prometheus"
