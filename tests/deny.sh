#!/bin/sh
# Holds the crates that are built in to deny.toml, with cargo-deny.
#
#   deny.sh              licences, duplicates and sources, without a network. Where there is no
#                        cargo-deny, or a crate is not at hand, it says NOT CHECKED and succeeds
#   deny.sh advisories   the same, and known vulnerabilities and yanked releases. It needs a network,
#                        compiles cargo-deny if there is none, and fails where it cannot ask
#
# cargo-deny is the one on PATH, or the one that `deny.sh advisories` has put into .cache.
set -eu
cd "$(dirname "$0")/.."

RELEASE=0.20.2
PATH=$PATH:$(pwd)/.cache/cargo-deny/bin

not_checked() {
    echo "NOT CHECKED: licences, duplicates and sources of crates. $*" >&2
    exit
}

case ${1:-} in
'')
    command -v cargo-deny >/dev/null ||
        not_checked "There is no cargo-deny; make audit compiles it, or: cargo install cargo-deny --locked"
    # It looks at the crates of every platform; not all of them have been fetched to be compiled.
    cargo fetch --locked --quiet ||
        not_checked "Some crates cannot be fetched"
    exec cargo-deny --offline --locked check licenses bans sources
    ;;
advisories)
    command -v cargo-deny >/dev/null ||
        cargo install --quiet --locked --version "$RELEASE" --root .cache/cargo-deny --target-dir .cache/cargo-deny/target cargo-deny
    exec cargo-deny --locked check
    ;;
*)
    echo "usage: $0 [advisories]" >&2
    exit 2
    ;;
esac
