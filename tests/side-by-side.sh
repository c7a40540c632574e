#!/usr/bin/env bash
# Runs shell commands side by side, in their order. What a command prints is shown when it has ended.
# The first that fails is shown at once, ends those that still run, and nothing more is begun.
#
#   side-by-side.sh 2 'cargo test --lib' 'envoy/build.sh' 'tests/deny.sh'    two at a time
set -u
# Each command is a process group, and ends with all that it has started.
set -m

most=$1
shift
folder=$(mktemp -d)
mkfifo "$folder/ended"
exec 3<>"$folder/ended"
commands=("$@")
running=()

end() {
    for group in ${running[@]+"${running[@]}"}; do
        kill -- "-$group" 2>/dev/null
    done
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

begin() {
    {
        SECONDS=0
        sh -c "${commands[$1]}"
        echo "$1 $? $SECONDS" >&3
    } >"$folder/$1" 2>&1 </dev/null &
    running[$1]=$!
    # Otherwise bash tells of each that is ended.
    disown
}

next=0
left=$#
while [ "$left" -gt 0 ]; do
    while [ "$next" -lt $# ] && [ "${#running[@]}" -lt "$most" ]; do
        begin "$next"
        next=$((next + 1))
    done
    read -r ended status seconds <&3
    unset "running[$ended]"
    left=$((left - 1))
    cat "$folder/$ended"
    echo "── ${commands[$ended]}: $seconds s"
    if [ "$status" != 0 ]; then
        echo "FAILED with $status: ${commands[$ended]}" >&2
        exit 1
    fi
done
