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

# What each failed test said, once more: in a long log nobody finds it, and whoever shows only its end shows it.
failures() {
    awk '
        /^---- .* stdout ----$/ { name = $2; left = 0; next }
        name != "" && /^thread .* panicked at / { printf "\n%s\n", name; left = 30 }
        /^(stack backtrace:|note: run with)/ { left = 0 }
        /^failures:$/ { name = ""; left = 0 }
        left-- > 0
    ' "$log"
}

sum_up() {
    local outcome=$?
    if ((outcome != 0)); then
        failures
        printf '\nFAILED: %s\n' "$current"
    fi
    awk '/^test result: / { passed += $4; failed += $6 } END { printf "\n%d passed, %d failed\n", passed, failed }' "$log"
    rm -f "$log"
    exit "$outcome"
}
trap sum_up EXIT
