#!/bin/sh
# Runs the demo on this machine: an upstream and the proxy of envoy.yaml, until Ctrl-C.
#
#   PORT=10000 ADMIN_PORT=9901 UPSTREAM_PORT=10001   where they listen, on 127.0.0.1
#   FILE=policy.yaml                                 a document to run in place of the demo's
#   LOG_LEVEL=info                                   of Envoy
#   RECORDS=json                                     records as they are, not made short for people
#   MODULE=target/portcullis.wasm                    another module than the one that is soon built
#   BESIDE=123                                       a process that builds the command meanwhile, and ends with this
set -eu
cd "$(dirname "$0")/.."

PORT=${PORT:-10000}
ADMIN_PORT=${ADMIN_PORT:-9901}
UPSTREAM_PORT=${UPSTREAM_PORT:-10001}
FILE=${FILE:-}
MODULE=${MODULE:-target/portcullis-quick.wasm}
run=.cache/run

fail() {
    echo "run: $*" >&2
    exit 1
}

# port NAME VALUE: whether it can be one.
port() {
    case $2 in
    '' | *[!0-9]*) fail "$1=$2 is no number; write one from 1 to 65535" ;;
    esac
    [ "${#2}" -le 5 ] && [ "$2" -ge 1 ] && [ "$2" -le 65535 ] || fail "$1=$2 is no port; write one from 1 to 65535"
}

port PORT "$PORT"
port ADMIN_PORT "$ADMIN_PORT"
port UPSTREAM_PORT "$UPSTREAM_PORT"
[ "$PORT" != "$ADMIN_PORT" ] || fail "PORT and ADMIN_PORT are both $PORT; each needs its own"
[ "$PORT" != "$UPSTREAM_PORT" ] || fail "PORT and UPSTREAM_PORT are both $PORT; each needs its own"
[ "$ADMIN_PORT" != "$UPSTREAM_PORT" ] || fail "ADMIN_PORT and UPSTREAM_PORT are both $ADMIN_PORT; each needs its own"
[ -z "$FILE" ] || [ -f "$FILE" ] || fail "FILE=$FILE is no file"

# Two Envoys can share a port without a complaint from either, so look before.
free() {
    code=0
    curl -s -o /dev/null --max-time 2 "http://127.0.0.1:$2/" || code=$?
    [ $code = 7 ] || fail "port $2 is taken; choose another with $1, as in: make run $1=$(($2 + 100))"
}

command -v curl >/dev/null || fail "curl is missing"
if [ "${1:-}" = ports ]; then
    free PORT "$PORT"
    free ADMIN_PORT "$ADMIN_PORT"
    free UPSTREAM_PORT "$UPSTREAM_PORT"
    exit 0
fi
[ -f "$MODULE" ] || fail "$MODULE is missing; run make quick, or make build"
case $MODULE in
/*) ;;
*) MODULE=$(pwd)/$MODULE ;;
esac
envoy=$(envoy/find-envoy.sh)
free PORT "$PORT"
free ADMIN_PORT "$ADMIN_PORT"
free UPSTREAM_PORT "$UPSTREAM_PORT"

pids=
stop() {
    trap '' INT TERM
    [ -z "${BESIDE:-}" ] || kill "$BESIDE" 2>/dev/null || true
    for pid in $pids; do
        kill "$pid" 2>/dev/null || true
    done
    # shellcheck disable=SC2086
    wait $pids 2>/dev/null || true
}
trap stop EXIT
trap 'echo; exit 0' INT
trap 'exit 143' TERM HUP

start() {
    sed -e 's|0\.0\.0\.0|127.0.0.1|' -e 's|address: upstream|address: 127.0.0.1|' \
        -e "s|[0-9]* } # PORT|$PORT }|" -e "s|[0-9]* } # ADMIN_PORT|$ADMIN_PORT }|" \
        -e "s|[0-9]* } # UPSTREAM_PORT|$UPSTREAM_PORT }|" \
        -e "s|/plugin.wasm|$MODULE|" "$2" >$run/"$1".yaml
    "$envoy" --config-path $run/"$1".yaml --disable-hot-restart --concurrency 2 \
        --log-level "${LOG_LEVEL:-info}" >$run/"$1".log 2>&1 &
    pids="$pids $!"
}

# ready PID NAME URL: waits until the URL answers 200, up to 20 seconds.
ready() {
    tries=0
    until curl -sf -o /dev/null --max-time 1 "$3"; do
        tries=$((tries + 1))
        if ! kill -0 "$1" 2>/dev/null || [ $tries -gt 200 ]; then
            grep -E '\[(critical|error)\]' "$run/$2.log" >&2 || tail -n 5 "$run/$2.log" >&2
            fail "Envoy did not start with $run/$2.yaml; its log is $run/$2.log"
        fi
        sleep 0.1
    done
}

mkdir -p $run
base=envoy/envoy.yaml
if [ -n "$FILE" ]; then
    base=$run/base.yaml
    target/command/portcullis render "$FILE" --base envoy/envoy.yaml --upstream-port "$UPSTREAM_PORT" \
        --key envoy/demo-keys/es256.pem --kid demo-es256 >$base || fail "this document is not run"
fi
start upstream envoy/upstream.yaml
upstream=$!
start envoy $base
proxy=$!
ready $upstream upstream "http://127.0.0.1:$UPSTREAM_PORT/"
ready $proxy envoy "http://127.0.0.1:$ADMIN_PORT/ready"

tried() {
    if [ -n "$FILE" ]; then
        cat <<END
It runs $FILE. Its providers take tokens of the demo's key, in place of those whose keys would be fetched:

curl -i -H "Authorization: Bearer \$(make -s token ISSUER=https://id.example.com/ AUDIENCE=orders-api)" http://127.0.0.1:$PORT/

What becomes of a request, and why: target/command/portcullis explain $FILE /
END
    else
        echo "Paste these into another terminal, in this folder:"
        echo
        envoy/demo.sh print "http://127.0.0.1:$PORT"
        echo
        if [ -n "${BESIDE:-}" ] && kill -0 "$BESIDE" 2>/dev/null; then
            echo "The command that makes the tokens is still being built: the first that needs it waits for it."
            echo
        fi
        echo "What becomes of a request, and why, without sending one:"
        echo
        echo "target/command/portcullis explain envoy/envoy.yaml /refunds -H \"authorization: Bearer \$(make -s token)\""
    fi
}

cat <<END

Portcullis is at http://127.0.0.1:$PORT, Envoy's own statistics at http://127.0.0.1:$ADMIN_PORT/stats.
$(tried)

Logs: $run/envoy.log, $run/upstream.log. What the filter logs follows here, its records made short: RECORDS=json shows them
as they are. Ctrl-C stops everything.

END

# A pipe with a name, so that both ends are known by their pid.
rm -f $run/lines
mkfifo $run/lines
tail -n +1 -f $run/envoy.log >$run/lines &
pids="$pids $!"
case ${RECORDS:-} in
json) sed -un 's/.*\] wasm log[^:]*: //p' <$run/lines & ;;
*) sed -un 's/.*\] wasm log[^:]*: //p' <$run/lines | python3 envoy/records.py & ;;
esac
pids="$pids $!"

wait $proxy || true
fail "Envoy has stopped; its log is $run/envoy.log"
