# shellcheck shell=bash
# Checks of what setup.sh installs with apt-get: its pins, and that nothing else stays.

pins=bin/lib/debian.pref

# The release that the pins are of.
pinned_release=bookworm

# Every package that setup.sh may ask for has a pin. What was there before in another version is told, and used.
packages_are_pinned() {
    local packages package version installed release
    packages=$(sed -n 's/.*missing_packages+=(\(.*\)).*/\1/p' bin/lib/setup.sh | tr ' ' '\n' | sort --unique)
    for package in $packages; do
        if ! grep --quiet "^$package " <(pinned_versions); then
            say "$package has no version in $pins, where bin/lib/setup.sh installs it"
            return 1
        fi
    done
    release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    if [[ $release != "$pinned_release" ]]; then
        say "the versions are pinned for Debian's $pinned_release; this is ${release:-another system}, with its own"
        return
    fi
    while read -r package version; do
        installed=$(dpkg-query --show --showformat '${Version}' "$package" 2>/dev/null) || continue
        [[ -z $installed || $installed == "$version" ]] || say "$package is $installed, and $version is pinned"
    done < <(pinned_versions)
}

# A line for each package: its name and its version.
pinned_versions() {
    awk '/^Package: / { sub(/^Package: /, ""); names = $0 }
        /^Pin: version / { n = split(names, name, " "); for (i = 1; i <= n; i++) print name[i], $3 }' "$pins"
}

# With files of its own for the rules of this machine, and a signal in place of apt-get's installation.
# shellcheck disable=SC2034,SC2329 # What it sets is for setup.sh.
no_rules_stay_of_an_installation() (
    has apt-get || return 0
    place=$(mktemp -d)
    service_rules=$place/services
    cluster_rules=$place/clusters
    touch "$cluster_rules"
    as_root() {
        if [[ $1 != env ]]; then
            "$@"
        elif [[ $* == *" postgresql" ]]; then
            rules_hold && kill -s TERM "$BASHPID"
        fi
    }
    rules_hold() { [[ -x $service_rules && -s $cluster_rules ]]; }
    no_rules() { [[ ! -e $service_rules && ! -s $cluster_rules ]]; }

    outcome=0
    missing_packages=(postgresql)
    (install_what_is_missing 2>/dev/null) || outcome=$?
    ((outcome == 143)) || fail "an installation under which nothing is started was not ended by a signal: $outcome"
    no_rules || fail "an installation that a signal ended has left its rules"

    rule_out_starting_services
    rule_out_a_cluster_of_debians_own
    rules_hold || fail "there are no rules for an installation"
    missing_packages=()
    install_what_is_missing
    no_rules || fail "what a killed run left of its rules stays"
    rm -rf "$place"
)
