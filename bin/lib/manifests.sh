# shellcheck shell=bash
# Checks of what is deployed: compose, the images, the manifests of Kubernetes, the gateway's configuration, the alert rules.

deploy_tools() { printf '%s/deploy-tools' "$(target_directory)"; }

# Programs from PyPI, in the versions and (where they are programs, not Python) with the contents that are pinned.
need_deploy_tools() {
    local tools pins=bin/lib/deploy-tools
    tools=$(deploy_tools)
    if cat "$pins"/*.txt | cmp --silent - "$tools/installed"; then
        return
    fi
    say "installing the checkers of deploy/ into $tools"
    python3 -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$pins/programs.txt"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$pins/checkers.txt"
    cat "$pins"/*.txt >"$tools/installed"
}

# The compose file as Docker's own program reads it, with the passwords that `prepare` makes, and no secret in it.
compose_is_valid() {
    local tools place
    tools=$(deploy_tools)/bin
    place=$(mktemp -d)
    deploy/compose/prepare "$place" 2>/dev/null
    "$tools/docker-compose" --file docker-compose.yml --env-file "$place/.env" config --quiet
    if "$tools/docker-compose" --file docker-compose.yml --env-file /dev/null config --quiet 2>/dev/null; then
        say "docker-compose.yml takes an installation without passwords"
        return 1
    fi
    logs_in_where_the_others_do "$place"
    rm -rf "$place"
    "$tools/hadolint" deploy/Dockerfile
}

# Prometheus reads no variables, so its configuration is made; also for an installation with a port of its own.
logs_in_where_the_others_do() {
    local place=$1 made=$1/deploy/compose/secrets/prometheus.yml issuer
    sed -i 's/^LOGIN_PORT=.*/LOGIN_PORT=9443/' "$place/.env"
    deploy/compose/prepare "$place"
    promtool check config --syntax-only "$made"
    issuer=$("$(deploy_tools)/bin/docker-compose" --file docker-compose.yml --env-file "$place/.env" config |
        sed -n 's/^ *AUTH_ISSUER: //p' | sort --unique)
    if ! grep --quiet --fixed-strings "token_url: $issuer/" "$made"; then
        say "Prometheus does not log in at $issuer"
        return 1
    fi
}

# The base and the overlays, rendered, against the schemas of Kubernetes, and looked through for what is unsafe.
kubernetes_is_valid() {
    local tools place folder rendered
    tools=$(deploy_tools)/bin
    place=$(mktemp -d)
    for folder in deploy/k8s/base deploy/k8s/overlays/*; do
        rendered=$place/${folder//\//-}.yaml
        "$tools/kubectl" kustomize "$folder" >"$rendered"
        "$tools/kubernetes-validate" --strict --quiet --kubernetes-version 1.32 "$rendered"
    done
    "$tools/checkov" --config-file deploy/k8s/.checkov.yaml --directory "$place"
    rm -rf "$place"
}

gateway_is_valid() {
    local haproxy=/usr/sbin/haproxy
    [[ -x $haproxy ]] || haproxy=haproxy
    GATEWAY_LISTEN=127.0.0.1:8088 COMMAND_API=localhost:8085 QUERY_API=localhost:8083 "$haproxy" -c -q -f deploy/gateway/haproxy.cfg
    # A service whose name nobody knows yet keeps the gateway from nothing: it is asked for again.
    GATEWAY_LISTEN=127.0.0.1:8088 COMMAND_API_1=127.0.0.1:8085 COMMAND_API_2=not-yet.invalid:8085 \
        QUERY_API_1=127.0.0.1:8083 QUERY_API_2=not-yet.invalid:8083 "$haproxy" -c -q -f deploy/gateway/haproxy.cfg
}

alerts_are_valid() {
    promtool check rules deploy/prometheus/rules/*.yml
    promtool test rules deploy/prometheus/tests/*.yml
}

# After the release build, which tells what it read.
build_context_is_right() {
    python3 bin/lib/build_context.py "${root:?}" "$(target_directory)/release"
}

# After the release build: the programs themselves say what their settings are.
manifests_fit_the_programs() {
    local tools place
    tools=$(deploy_tools)/bin
    place=$(mktemp -d)
    deploy/compose/prepare "$place" 2>/dev/null
    "$tools/docker-compose" --file docker-compose.yml --env-file "$place/.env" config --format json >"$place/compose.json"
    "$tools/kubectl" kustomize deploy/k8s/base >"$place/kubernetes.yaml"
    "$tools/python3" bin/lib/manifests_fit.py "${root:?}" "$(target_directory)/release" "$place/compose.json" "$place/kubernetes.yaml"
    rm -rf "$place"
}

# Each on a line of its own: in a chain of && a failure inside of one would go unnoticed.
deploy_is_valid() {
    need_deploy_tools
    compose_is_valid
    kubernetes_is_valid
    gateway_is_valid
    alerts_are_valid
}
