#!/usr/bin/env bash
# Runs a command whose test binaries hand Envoys on to each other, and ends those that are left when it has ended.
# A new Envoy compiles the module for five seconds of processor time.
#
#   with-envoys.sh cargo test --locked -p portcullis-tests
set -u

folder=$(mktemp -d)
mkfifo "$folder/held"
# What guards an Envoy reads from it, and ends the Envoy when this process, which alone holds it, is gone.
exec 9<>"$folder/held"
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
PORTCULLIS_ENVOYS=$folder "$@" 9>&-
