# shellcheck shell=bash
# Runs checks one after the other, each with a heading and its duration, and adds up the tests that ran.

log=$(mktemp)
current=setup

# step NAME COMMAND...: runs the command, and ends everything if it fails.
step() {
    current=$1
    shift
    printf '\n== %s\n' "$current"
    local started=$SECONDS
    "$@" 2>&1 | tee -a "$log"
    printf -- '-- %s: %d s\n' "$current" "$((SECONDS - started))"
}

sum_up() {
    local outcome=$?
    if ((outcome != 0)); then
        printf '\nFAILED: %s\n' "$current"
    fi
    awk '/^test result: / { passed += $4; failed += $6 } END { printf "\n%d passed, %d failed\n", passed, failed }' "$log"
    rm -f "$log"
    exit "$outcome"
}
trap sum_up EXIT
