# shellcheck shell=bash
# What bin/up and bin/test share: finding what is missing on a Debian or Ubuntu machine, and installing it.

say() { printf '\n== %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# The newest PostgreSQL server on this machine, as its bin directory; nothing if there is none.
postgres_bin() {
    local dir
    for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
        if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then
            printf '%s\n' "$dir"
            return
        fi
    done
    if command -v postgres initdb >/dev/null; then dirname "$(command -v postgres)"; fi
}

need_rust() {
    # shellcheck source=/dev/null
    if ! command -v cargo >/dev/null && [ -r "$HOME/.cargo/env" ]; then . "$HOME/.cargo/env"; fi
    command -v cargo >/dev/null || die "no Rust toolchain; install one from https://rustup.rs, then run this again"
}

# Installs the Debian packages of the commands that are missing, after saying which.
need_packages() {
    local missing=()
    command -v cc >/dev/null || missing+=(build-essential)
    command -v cmake >/dev/null || missing+=(cmake)
    command -v setpriv >/dev/null || missing+=(util-linux)
    command -v curl >/dev/null || missing+=(curl)
    [ -e /etc/ssl/certs/ca-certificates.crt ] || missing+=(ca-certificates)
    [ -n "$(postgres_bin)" ] || missing+=(postgresql)
    [ ${#missing[@]} -gt 0 ] || return 0

    say "installing with apt-get: ${missing[*]}"
    command -v apt-get >/dev/null || die "no apt-get here; install by hand: ${missing[*]}"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "neither root nor sudo; run as root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    # bookstock runs a private PostgreSQL of its own; the package need not start another.
    if [[ " ${missing[*]} " == *" postgresql "* ]] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        "${as_root[@]}" mkdir -p /etc/postgresql-common
        printf 'create_main_cluster = false\n' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    "${as_root[@]}" apt-get update -q >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >&2
}
