"""Whether docker-compose.yml and deploy/k8s fit the programs: settings that they know, paths and ports that are there, names that lead
somewhere, and the figures that the original system had.

Usage: manifests_fit.py CHECKOUT RELEASE-DIRECTORY COMPOSE.json KUBERNETES.yaml, after a release build there; the last two as
`docker-compose config --format json` and `kubectl kustomize deploy/k8s/base` render them. Needs PyYAML.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

# What a program reads that its --help does not tell, and where; what a library of it reads has no place.
READ_ELSEWHERE = {
    "LOG_FORMAT": "service-kit/src/telemetry.rs",
    "PROBE_URL": "service-kit/src/bin/probe.rs",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "service-kit/src/traces/collector.rs",
    "SSL_CERT_FILE": None,
}

# As in the original system (HPA, CPU), and its ConfigMap.
REPLICAS = (1, 7)
CPU = ("200m", "500m")
CONFIGURED_NAME = "HarryPorter"

# How long a service takes after SHUTDOWN_DELAY_MS until requests under way are cut off (service-kit, `listen`).
DRAIN_SECONDS = 5

# How long DNS of a cluster may tell what was (CoreDNS, as kubeadm sets it up): ttl and cache.
DNS_SECONDS = 30

wrong = []


def want(holds, what):
    if not holds:
        wrong.append(what)


class Programs:
    """What each program understands."""

    def __init__(self, root, release):
        self.root, self.release, self.known = root, release, {}
        self.gateway = (root / "deploy/gateway/haproxy.cfg").read_text()
        self.paths = json.loads((root / "docs/openapi.json").read_text())["paths"]
        listed = re.search(r"for program in (.*?);", (root / "deploy/Dockerfile").read_text())[1]
        self.in_the_image = set(listed.split())

    def settings(self, program):
        if program == "haproxy":
            return set(re.findall(r"(?:\$\{|defined\()(\w+)", self.gateway))
        if program not in self.known:
            asked = [self.release / program, "--help"]
            told = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
            self.known[program] = set(re.findall(r"\[env: (\w+)", told))
        return self.known[program]

    def read(self, program, name):
        if name in self.settings(program):
            return True
        place = READ_ELSEWHERE.get(name, "")
        return place is None or (place != "" and name in (self.root / place).read_text())

    def answers(self, program, path):
        if program != "haproxy":
            return path in self.paths
        # Where it never speaks TLS, which no probe does.
        _, own = self.gateway.split("\nfrontend metrics\n")
        return f"{{ path {path} }}" in own


def container_fits(programs, where, program, settings):
    """Every setting is one, and the program is in its image."""
    want(program == "haproxy" or program in programs.in_the_image, f"{where}: {program} is not in the image")
    for name in settings:
        want(programs.read(program, name), f"{where}: {program} knows no setting {name}")


def ports_listened_on(settings):
    return {int(value.rsplit(":", 1)[1]) for name, value in settings.items() if name.endswith("_LISTEN") and value}


def never_tls(program, settings, port):
    """Which is what a probe needs: the gateway takes nothing but TLS at its entry, if it has a certificate."""
    return program != "haproxy" or settings.get("GATEWAY_METRICS_LISTEN", "").endswith(f":{port}")


def seconds(duration):
    return int(re.fullmatch(r"(\d+)s", duration)[1])


def seconds_to_end(programs, program, settings):
    if program == "haproxy":
        return seconds(re.search(r"^ *hard-stop-after (\w+)$", programs.gateway, re.MULTILINE)[1])
    return int(settings["SHUTDOWN_DELAY_MS"]) / 1000 + DRAIN_SECONDS


# docker-compose.yml


def compose_fits(programs, compose, prometheus):
    services = compose["services"]
    listens = {"kurrentdb": {2113}}
    for name, service in services.items():
        if not service["image"].startswith("bookstock"):
            continue
        settings = service["environment"]
        program = Path(service["command"][0]).name if service.get("command") else "haproxy"
        container_fits(programs, f"compose: {name}", program, settings)
        listens[name] = ports_listened_on(settings)
        port, path = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/\w+)", settings["PROBE_URL"]).groups()
        want(int(port) in listens[name], f"compose: {name} is probed at port {port}, where it does not listen")
        want(programs.answers(program, path), f"compose: {name} has no {path} to be probed at")
        want(never_tls(program, settings, port), f"compose: {name} is probed at port {port}, where it may speak TLS")
        needed = seconds_to_end(programs, program, settings)
        want(seconds(service["stop_grace_period"]) > needed, f"compose: {name} is killed while it ends")
        want(service.get("pull_policy") == "never", f"compose: {name} is looked for in a registry")
    for image in sorted({service["image"] for service in services.values() if service["image"].startswith("bookstock")}):
        builders = [name for name, service in services.items() if service["image"] == image and "build" in service]
        want(len(builders) == 1, f"compose: {image} is built {len(builders)} times, by {builders}")
    reached = [(name, value) for name, value in services["gateway"]["environment"].items() if re.search("_API_[12]$", name)]
    want(len(reached) == 4, "compose: the gateway has not two services of each kind")
    reached = [("gateway", target) for _, target in reached]
    reached += [("prometheus", target) for job in prometheus["scrape_configs"] for s in job["static_configs"] for target in s["targets"]]
    for who, target in reached:
        host, port = target.rsplit(":", 1)
        want(int(port) in listens.get(host, ()), f"compose: {who} looks for {target}, and nobody listens there")
        shared = set(services[who]["networks"]) & set(services.get(host, {}).get("networks", ()))
        want(shared, f"compose: {who} is in no network with {host}")
    asked = {target.split(":")[0] for who, target in reached if who == "prometheus"}
    want(asked == set(listens), f"compose: Prometheus asks {sorted(asked)}, and there are {sorted(listens)}")
    named = services["command-api-1"]["environment"]["NAME"]
    want(named == CONFIGURED_NAME, f"compose: a book without a name is called {named!r}")


def logins_are_whole(realm):
    """Whom Keycloak misses something of, it asks for that at the first login."""
    for user in realm["users"]:
        missing = [field for field in ("email", "firstName", "lastName") if not user.get(field)]
        want(not missing, f"realm.json: {user['username']} has no {missing}")


# deploy/k8s


def app(labels):
    return labels.get("app.kubernetes.io/name")


def kubernetes_fits(programs, documents, readme):
    of = lambda kind: [one for one in documents if one["kind"] == kind]
    config = of("ConfigMap")[0]["data"]
    created = set(re.findall(r"--from-literal=([\w-]+)=", readme))
    used, secrets, pods = set(), set(), {}
    for deployment in of("Deployment"):
        name, spec = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]
        where, (container,) = f"k8s: {name}", spec["containers"]
        program, settings = Path(container["command"][0]).name, {}
        for setting in container["env"]:
            source = setting.get("valueFrom", {})
            settings[setting["name"]] = setting.get("value", "")
            if key := source.get("configMapKeyRef", {}).get("key"):
                used.add(key)
                want(key in config, f"{where}: the ConfigMap has no {key}")
                settings[setting["name"]] = config.get(key, "")
            if key := source.get("secretKeyRef", {}).get("key"):
                secrets.add(key)
        container_fits(programs, where, program, settings)
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        pods[name] = (ports, settings)
        want(ports_listened_on(settings) >= set(ports.values()), f"{where}: {ports} and {ports_listened_on(settings)} listened on")
        ready = "/livez" if program == "haproxy" else "/readyz"
        for probe, path in [("startupProbe", "/livez"), ("livenessProbe", "/livez"), ("readinessProbe", ready)]:
            asked = container.get(probe, {}).get("httpGet", {})
            want(asked.get("path") == path, f"{where}: {probe} asks {asked.get('path')}, not {path}")
            want(programs.answers(program, path), f"{where}: {program} has no {path} to be probed at")
            want(asked.get("port") in ports, f"{where}: {probe} asks the port {asked.get('port')}")
            want(never_tls(program, settings, ports.get(asked.get("port"))), f"{where}: {probe} asks a port that may speak TLS")
        cpu = (container["resources"]["requests"]["cpu"], container["resources"]["limits"]["cpu"])
        want(cpu == CPU, f"{where}: CPU {cpu}, not {CPU}")
        # What it waits before it is told to stop counts, too.
        before = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["0"])[-1]
        needed = int(before) + seconds_to_end(programs, program, settings)
        want(spec["terminationGracePeriodSeconds"] > needed, f"{where}: it is killed while it ends")
        labels = deployment["spec"]["template"]["metadata"]["labels"].items()
        budgets = [one["spec"] for one in of("PodDisruptionBudget") if one["spec"]["selector"]["matchLabels"].items() <= labels]
        want([budget.get("maxUnavailable") for budget in budgets] == [1], f"{where}: {len(budgets)} disruption budgets of one pod")
    want(used == set(config), f"k8s: the ConfigMap has {sorted(set(config) - used)}, which nobody reads")
    want(secrets == created, f"k8s: the secrets {sorted(secrets)} are read, and the README makes {sorted(created)}")
    name = pods["command-api"][1].get("NAME")
    want(config["name"] == name == CONFIGURED_NAME, f"k8s: a book without a name is called {name!r}")
    scaled = {one["spec"]["scaleTargetRef"]["name"]: one["spec"] for one in of("HorizontalPodAutoscaler")}
    want(set(scaled) == {"command-api", "query-api"}, f"k8s: {sorted(scaled)} are scaled")
    for name, spec in scaled.items():
        figures = (spec["minReplicas"], spec["maxReplicas"])
        want(figures == REPLICAS, f"k8s: {name} is scaled from {figures[0]} to {figures[1]}, not {REPLICAS}")
        target = spec["metrics"][0]["resource"]["target"]["averageUtilization"]
        want(f"at {target} %" in readme, f"k8s: {name} is scaled at {target} %, and the README says otherwise")
    links_lead_somewhere(of, pods)


def let_out(of, sender, target, port):
    """Whether a policy lets pods with these labels send to that port of the target, or of anybody if there is none."""
    for policy in of("NetworkPolicy"):
        if policy["spec"]["podSelector"].get("matchLabels", {}).items() <= sender.items():
            for rule in policy["spec"].get("egress", ()):
                targets = [app(peer.get("podSelector", {}).get("matchLabels", {})) for peer in rule.get("to", ())]
                if port in (one["port"] for one in rule["ports"]) and (not targets or target in targets):
                    return True
    return False


def links_lead_somewhere(of, pods):
    """Services, policies and the gateway name ports that their pods have."""
    for service in of("Service"):
        ports = pods[app(service["spec"]["selector"])][0]
        for port in service["spec"]["ports"]:
            want(ports.get(port["targetPort"]) == port["port"], f"k8s: the service {service['metadata']['name']} has the port {port}")
    for policy in of("NetworkPolicy"):
        where, pod = f"k8s: the policy {policy['metadata']['name']}", app(policy["spec"]["podSelector"].get("matchLabels", {}))
        for rule in policy["spec"].get("ingress", ()):
            for port in rule.get("ports", ()):
                want(port["port"] in pods[pod][0], f"{where} lets in at {port['port']}, which {pod} does not have")
                for sender in (peer["podSelector"]["matchLabels"] for peer in rule.get("from", ()) if "podSelector" in peer):
                    for target, number in [(pod, pods[pod][0].get(port["port"])), (None, 53)]:
                        want(let_out(of, sender, target, number), f"{where} lets in {sender}, which nothing lets out to {number}")
        for rule in policy["spec"].get("egress", ()):
            for peer in rule.get("to", ()):
                target = app(peer.get("podSelector", {}).get("matchLabels", {}))
                if target:
                    there = pods[target][0].values()
                    want(all(port["port"] in there for port in rule["ports"]), f"{where} lets out to {target} at {rule['ports']}")
    namespace = of("Namespace")[0]["metadata"]["name"]
    there = {
        f"{one['metadata']['name']}.{namespace}.svc.cluster.local:{port['port']}" for one in of("Service") for port in one["spec"]["ports"]
    }
    ready_for = {one["metadata"]["name"]: one["spec"].get("minReadySeconds", 0) for one in of("Deployment")}
    for name, behind in [("COMMAND_API", "command-api"), ("QUERY_API", "query-api")]:
        target = pods["gateway"][1].get(name)
        want(target in there, f"k8s: the gateway looks for {target}, which is no service here")
        want(ready_for[behind] > DNS_SECONDS, f"k8s: an old {behind} goes before the gateway knows the new one")


def main(root, release, compose, kubernetes):
    programs = Programs(root, release)
    prometheus = yaml.safe_load((root / "deploy/compose/prometheus.yml").read_text())
    compose_fits(programs, json.loads(compose.read_text()), prometheus)
    logins_are_whole(json.loads((root / "deploy/compose/realm.json").read_text()))
    documents = list(yaml.safe_load_all(kubernetes.read_text()))
    kubernetes_fits(programs, documents, (root / "deploy/k8s/README.md").read_text())
    sys.exit("\n".join(wrong) or None)


main(*map(lambda path: Path(path).resolve(), sys.argv[1:5]))
