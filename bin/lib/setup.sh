# shellcheck shell=bash
# Finds out what this machine lacks, says so, and installs it: `need_...` for each, then install_what_is_missing.
# What is there already is left alone, so running it again does nothing.

missing_packages=()

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "$@"
    exit 1
}

has() { command -v "$1" >/dev/null; }

need_rust() {
    # Relative to the checkout for cargo, and so for whoever runs what it built.
    if [[ -n ${CARGO_TARGET_DIR:-} && ${CARGO_TARGET_DIR:0:1} != / ]]; then
        export CARGO_TARGET_DIR=${root:?}/$CARGO_TARGET_DIR
    fi
    if ! has cargo && [[ -r ${CARGO_HOME:-$HOME/.cargo}/env ]]; then
        # shellcheck source=/dev/null
        source "${CARGO_HOME:-$HOME/.cargo}/env"
    fi
    has cargo || fail "Rust is not installed; get it from https://rustup.rs and run this again."
    # Only rustup's cargo heeds rust-toolchain.toml; a distribution's own may be older than the code.
    local needed found
    needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "${root:?}/Cargo.toml")
    found=$(cd "$root" && cargo --version | cut -d' ' -f2) || fail "cargo does not start; see its message above."
    [[ $(printf '%s\n' "$needed" "$found" | sort --version-sort | head -n1) == "$needed" ]] ||
        fail "This needs Rust $needed, and $(command -v cargo) is of Rust $found; get rustup from https://rustup.rs and run this again."
}

# SQLite and the TLS library are C.
need_build_tools() {
    if ! has cc || ! has make; then
        missing_packages+=(build-essential)
    fi
    # The certificates are for fetching crates.
    [[ -e /etc/ssl/certs/ca-certificates.crt || -e /etc/pki/tls/certs/ca-bundle.crt ]] ||
        missing_packages+=(ca-certificates)
}

# The server programs, which Debian keeps out of the PATH, and setpriv, which ends them with their launcher.
need_postgresql() {
    postgresql_programs || missing_packages+=(postgresql)
    has setpriv || missing_packages+=(util-linux)
}

postgresql_programs() {
    local directory
    for directory in /usr/lib/postgresql/*/bin "$(pg_config --bindir 2>/dev/null)" "$(dirname "$(command -v initdb)")"; do
        if [[ -x $directory/initdb && -x $directory/postgres ]]; then
            return 0
        fi
    done
    return 1
}

need_curl() {
    has curl || missing_packages+=(curl)
}

need_npm() {
    has npm || missing_packages+=(npm)
}

# For what is tested only, which looks for it there: Debian's own is too old for it, and Debian's npm wants Debian's own.
# There is none for other processors: they take the one that is there.
need_node() {
    local pins=bin/lib/node place
    place=$(target_directory)/node
    mkdir -p "$place"
    cp "$pins"/package.json "$pins"/package-lock.json "$place/"
    need_npm_packages "$place"
    # Not every npm links it.
    find "$place/node_modules" -path '*/node-linux-*/bin/node' -exec ln -sf {} "$place/node" \;
}

# The packages of a folder with a package-lock.json, if they are not the ones it names.
need_npm_packages() {
    local folder=$1
    if cmp --silent "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"; then
        return
    fi
    say "installing the npm packages of $folder"
    npm ci --prefix "$folder" --no-audit --no-fund >&2
    mkdir -p "$folder/node_modules"
    cp "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"
}

# The gateway of the topology; openssl makes the certificate that the tests give it.
need_haproxy() {
    has haproxy || [[ -x /usr/sbin/haproxy ]] || missing_packages+=(haproxy)
    has openssl || missing_packages+=(openssl)
}

# They make system calls fail, clocks step and disks small, for the tests of what the event store survives.
need_fault_tools() {
    has strace || missing_packages+=(strace)
    compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || missing_packages+=(libfaketime)
    has unshare || missing_packages+=(util-linux)
}

need_pip() {
    python3 -m pip --version >/dev/null 2>&1 || missing_packages+=(python3 python3-pip)
}

# Other people's clients of the event store, beside the build, in the versions that the tests were written against.
need_other_clients() {
    local clients pins=event-store-server/tests/clients
    clients=$(target_directory)/clients
    # Not in `clients`, which is emptied for other pins.
    cargo build --quiet --locked --manifest-path "$pins/rust/Cargo.toml" --target-dir "$(target_directory)/rust-clients"
    if cat "$pins"/requirements.txt "$pins"/package-lock.json | cmp --silent - "$clients/installed"; then
        return
    fi
    say "installing the Python client kurrentdbclient and the Node client @kurrent/kurrentdb-client"
    rm -rf "$clients"
    mkdir -p "$clients/node"
    python3 -m pip install --quiet --root-user-action=ignore --disable-pip-version-check --no-deps \
        --target "$clients/python" -r "$pins/requirements.txt"
    cp "$pins"/package.json "$pins"/package-lock.json "$clients/node/"
    npm ci --silent --no-audit --no-fund --prefix "$clients/node"
    cat "$pins"/requirements.txt "$pins"/package-lock.json >"$clients/installed"
}

# It asks every operation of the OpenAPI documents anything.
need_schemathesis() {
    local tool pins=e2e/schemathesis/requirements.txt
    tool=$(target_directory)/schemathesis
    if cmp --silent "$pins" "$tool/installed.txt"; then
        return
    fi
    say "installing schemathesis into $tool"
    rm -rf "$tool"
    python3 -m pip install --quiet --root-user-action=ignore --disable-pip-version-check --target "$tool" -r "$pins"
    cp "$pins" "$tool/installed.txt"
}

# `promtool` comes with it.
need_prometheus() {
    has prometheus || missing_packages+=(prometheus)
}

# The load under which the topology restarts its services.
need_siege() {
    has siege || missing_packages+=(siege)
}

# The checkers of deploy/ are installed with pip, into an environment of their own.
need_venv() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing_packages+=(python3-venv)
}

# The browser that tries the page, and the faces in its pictures: Hangul, and a Latin one that is nobody's system face.
need_browser() {
    has chromium || missing_packages+=(chromium)
    has chromedriver || missing_packages+=(chromium-driver)
    [[ -d /usr/share/fonts/truetype/nanum ]] || missing_packages+=(fonts-nanum)
    [[ -d /usr/share/fonts/opentype/inter ]] || missing_packages+=(fonts-inter)
}

# Ubuntu's packages of these names are empty: they ask for a snap, which may not be there.
browser_works() {
    if ! chromium --version || ! chromedriver --version; then
        say "The tests of the page need programs called chromium and chromedriver, of the same version, in the PATH."
        return 1
    fi
}

# These versions build with the toolchain of rust-toolchain.toml.
need_cargo_deny() { need_cargo_tool deny 0.20.2; }
need_cargo_cyclonedx() { need_cargo_tool cyclonedx 0.5.9; }

need_cargo_tool() {
    local name=$1 version=$2
    if [[ $(cargo "$name" --version 2>/dev/null) == *" $version" ]]; then
        return
    fi
    say "installing cargo-$name $version with cargo; that takes some minutes, once"
    cargo install "cargo-$name" --locked --version "$version"
}

# install_what_is_missing [PINS]: in the versions of a file of apt preferences, where the archive has them and they go
# together with what is there.
install_what_is_missing() {
    take_rules_back
    if ((${#missing_packages[@]} == 0)); then
        return
    fi
    local packages="${missing_packages[*]}"
    has apt-get || fail "This needs the following, by their Debian names; install them and run this again: $packages"
    say "installing with apt-get: $packages"
    apt_get update -qq || fail "The package lists cannot be fetched; install these yourself and run this again: $packages"
    if [[ $# == 1 ]]; then
        apt_options=(-o "Dir::Etc::preferences=${root:?}/$1")
        if ! apt_get install -qq --simulate --no-install-recommends "${missing_packages[@]}" >/dev/null 2>&1; then
            say "the versions in $1 do not go together with what is installed here: taking those that do"
            apt_options=()
        fi
    fi
    # A trap waits for apt-get to end: the rules hold until then.
    trap take_rules_back EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    rule_out_starting_services
    if [[ " $packages " == *" postgresql "* ]]; then
        apt_get_install postgresql-common
        rule_out_a_cluster_of_debians_own
    fi
    apt_get_install "${missing_packages[@]}"
    take_rules_back
    trap - EXIT HUP INT TERM
}

apt_options=()

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get "${apt_options[@]}" "$@" >&2; }

apt_get_install() {
    apt_get install -qq -y --no-install-recommends "$@" ||
        fail "Not everything could be installed; install these yourself and run this again: ${missing_packages[*]}"
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    elif has sudo; then
        sudo "$@"
    else
        fail "Only root can do this, and there is no sudo: $*"
    fi
}

# Rules of this machine for the time of an installation. The mark tells them from its owner's, also after a run that was killed.
rule_mark='bookstock: for one installation'
service_rules=/usr/sbin/policy-rc.d
cluster_rules=/etc/postgresql-common/createcluster.conf

# Debian starts what it installs. Nobody asked for a gateway or a Prometheus on this machine.
rule_out_starting_services() {
    if [[ ! -e $service_rules ]]; then
        printf '#!/bin/sh\n# %s\nexit 101\n' "$rule_mark" | as_root tee "$service_rules" >/dev/null
        as_root chmod 755 "$service_rules"
    fi
}

# Debian makes a cluster on port 5432 when PostgreSQL comes in. Nobody asked for that one.
rule_out_a_cluster_of_debians_own() {
    if ! grep --quiet '^create_main_cluster' "$cluster_rules"; then
        echo "create_main_cluster = false # $rule_mark" | as_root tee -a "$cluster_rules" >/dev/null
    fi
}

take_rules_back() {
    if grep --quiet --no-messages "$rule_mark" "$service_rules"; then
        as_root rm -f "$service_rules"
    fi
    if grep --quiet --no-messages "$rule_mark" "$cluster_rules"; then
        as_root sed -i "/$rule_mark/d" "$cluster_rules"
    fi
}

target_directory() { printf '%s' "${CARGO_TARGET_DIR:-${root:?}/target}"; }
