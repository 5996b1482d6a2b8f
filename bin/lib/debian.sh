# shellcheck shell=bash
# The pins of what the tests install with apt-get.

pins=bin/lib/debian.pref

# The release that the pins are of.
pinned_release=bookworm

# Every package that setup.sh may ask for has a pin. What was there before in another version is told, and used.
packages_are_pinned() {
    local packages package version installed release
    packages=$(sed -n 's/.*missing_packages+=(\(.*\)).*/\1/p' bin/lib/setup.sh | tr ' ' '\n' | sort --unique)
    for package in $packages; do
        if ! pinned_versions | grep --quiet "^$package "; then
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
