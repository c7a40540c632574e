#!/bin/sh
# The demo of envoy.yaml, as requests and the answers to expect.
#
#   demo.sh print http://127.0.0.1:10000   the commands to paste
#   demo.sh check http://127.0.0.1:10000   runs them and compares; the exit status says whether all were right
set -eu
cd "$(dirname "$0")/.."
what=$1
base=$2
failed=0

# The demo's API key, of which envoy.yaml has the hash. It is public: `make key` makes others.
key=demo_IKrezonC2Pt7yogGjJdCiBkctpY22QuQS

# request WITH PATH STATUS TEXT: WITH is a name of `make token`, `key`, `bad-key`, or -; TEXT is found in the answer's body.
request() {
    "$what" "$@"
}

requests() {
    request - /orders 401 jwt_missing
    request good /orders 200 '"path":"/orders"'
    request expired /orders 401 jwt_expired
    request wrong-scope /orders 403 jwt_insufficient_scope
    request - /invoices 401 api_key_missing
    request bad-key /invoices 401 api_key_invalid
    request key /invoices 200 '"path":"/invoices"'
    request - /reports 401 credentials_missing
    request good /reports 200 '"path":"/reports"'
    request key /reports 200 '"path":"/reports"'
    request good /refunds 403 access_denied
    request manager /refunds 200 '"path":"/refunds"'
    limited /search 3 rate_limited
    request - /healthz 200 '"path":"/healthz"'
    request - /nowhere 404 no_route
}

# limited PATH NUMBER TEXT: so many requests pass, and the next is refused with 429 and TEXT in the body.
limited() {
    if [ "$what" = print ]; then
        echo "for n in $(seq -s ' ' $(($2 + 1))); do curl -s -o /dev/null -w '%{http_code} ' $base$1; done; echo"
        echo "    # $(yes 200 | head -n "$2" | tr '\n' ' ')429"
        return
    fi
    passed=0
    while [ "$passed" -lt "$2" ]; do
        check - "$1" 200 ''
        passed=$((passed + 1))
    done
    check - "$1" 429 "$3"
}

print() {
    case $1 in
    -) echo "curl -i $base$2" ;;
    key) echo "curl -i -H \"X-API-Key: $key\" $base$2" ;;
    # A digit is mistyped.
    bad-key) echo "curl -i -H \"X-API-Key: ${key%?}T\" $base$2" ;;
    *) echo "curl -i -H \"Authorization: Bearer \$(make -s token NAME=$1)\" $base$2" ;;
    esac
    echo "    # $3, with $4 in the body"
}

check() {
    set -- "$@" "$(answer "$@")"
    status=$(echo "$5" | tail -n 1)
    if [ "$status" = "$3" ] && echo "$5" | grep -qF -e "$4"; then
        echo "ok: $2, with $1: $status $4"
    else
        echo "WRONG: $2, with $1: expected $3 with $4 in the body, got $5" >&2
        failed=1
    fi
}

# The body, then the status on a line of its own.
answer() {
    case $1 in
    -) ;;
    key) set -- "$@" -H "X-API-Key: $key" ;;
    bad-key) set -- "$@" -H "X-API-Key: ${key%?}T" ;;
    *)
        token=$(${MAKE:-make} -s --no-print-directory token NAME="$1")
        set -- "$@" -H "Authorization: Bearer $token"
        ;;
    esac
    path=$2
    shift 4
    curl -s --max-time 10 -w '\n%{http_code}\n' "$@" "$base$path" || true
}

requests
exit $failed
