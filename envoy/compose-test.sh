#!/bin/sh
# Brings the demo up with docker compose, checks its answers, and brings it down.
# Exits with 3 where there is no container engine to do it with.
set -eu
cd "$(dirname "$0")/.."

export PORT="${PORT:-10000}" ADMIN_PORT="${ADMIN_PORT:-9901}"
export ENVOY_IMAGE="${ENVOY_IMAGE:-envoyproxy/envoy:v1.40.0}"

no_engine() {
    echo "compose-test: nothing was tested: $*" >&2
    exit 3
}

command -v docker >/dev/null || no_engine "docker is not installed"
docker info >/dev/null 2>&1 || no_engine "docker is installed, but no engine answers; is dockerd running, and may you use it?"
if docker compose version >/dev/null 2>&1; then
    compose="docker compose"
elif command -v docker-compose >/dev/null; then
    compose=docker-compose
else
    no_engine "neither docker compose nor docker-compose is installed"
fi
compose="$compose -p portcullis-demo -f envoy/docker-compose.yaml"

docker image inspect "$ENVOY_IMAGE" >/dev/null 2>&1 || docker pull "$ENVOY_IMAGE" || {
    echo "compose-test: $ENVOY_IMAGE cannot be pulled, so it is built here (make envoy-image)" >&2
    envoy/envoy-image.sh
}

trap '$compose down --timeout 5' EXIT
trap 'exit 130' INT TERM HUP
$compose up -d

give_up() {
    $compose logs --no-color --tail 10 envoy | cut -c 1-300 >&2
    echo "compose-test: $*" >&2
    exit 1
}

tries=0
for service in upstream envoy; do
    until [ "$(docker inspect -f '{{.State.Health.Status}}' "$($compose ps -q $service)")" = healthy ]; do
        tries=$((tries + 1))
        [ $tries -le 60 ] || give_up "$service is not healthy"
        sleep 0.5
    done
done
envoy/demo.sh check "http://127.0.0.1:$PORT" || give_up "not the answers to expect"
