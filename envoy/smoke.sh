#!/bin/sh
# Whether every worker of a proxy refuses what it must: sends one request, which must be refused, on
# each of many fresh connections, so many that every worker gets some.
#
#   envoy/smoke.sh URL [WORKERS [CURL_OPTION...]]
#
#   URL          what must be refused to whoever asks like this, as http://127.0.0.1:10000/orders
#   WORKERS      the worker threads of the proxy; 16 unless given. 16 connections are made for each.
#   CURL_OPTION  more for curl, as: -X POST, -H 'content-type: application/json', --insecure
#   REFUSALS     in the environment: the statuses of a refusal, 401 403 503 unless set
#   CONNECTIONS  in the environment: how many, in place of 16 for each worker; 20000 at most
#
# Exits with 0 if every request was refused, with 1 if one was not, with 2 if the test tells nothing:
# a request got no answer, or the arguments are wrong.
set -eu

usage() {
    echo "usage: $0 URL [WORKERS [CURL_OPTION...]]" >&2
    exit 2
}

is_number() {
    case $1 in
    '' | *[!0-9]*) return 1 ;;
    esac
    [ "${#1}" -le 5 ] && [ "$1" -gt 0 ]
}

[ $# -ge 1 ] && [ -n "$1" ] || usage
url=$1
shift
workers=16
[ $# -eq 0 ] || { workers=$1 && shift; }
is_number "$workers" || usage
connections=${CONNECTIONS:-$((workers * 16))}
is_number "$connections" && [ "$connections" -le 20000 ] || usage
refusals=" ${REFUSALS:-401 403 503} "
command -v curl >/dev/null || { echo "smoke: there is no curl" >&2; exit 2; }

refused=0 passed=0 lost=0 number=0 seen=
while [ "$number" -lt "$connections" ]; do
    number=$((number + 1))
    # A process each, so that no connection is used twice.
    status=$(curl -s -o /dev/null --max-time 10 -w '%{http_code}' "$@" "$url") || status=000
    case "$refusals" in
    *" $status "*) refused=$((refused + 1)) ;;
    *)
        if [ "$status" = 000 ]; then
            lost=$((lost + 1))
            # Nobody is there: no need to find that out so many times.
            [ "$lost" -lt 10 ] || break
        else
            passed=$((passed + 1))
            case " $seen " in
            *" $status "*) ;;
            *) seen="${seen:+$seen }$status" ;;
            esac
        fi
        ;;
    esac
done

echo "smoke: $number connections: $refused refused, $passed not refused, $lost without an answer"
if [ "$passed" -gt 0 ]; then
    echo "smoke: NOT REFUSED, with status $seen: a worker may be without the filter; take the proxy out" >&2
    exit 1
fi
[ "$lost" -eq 0 ] || { echo "smoke: requests without an answer: nothing is proved" >&2; exit 2; }
