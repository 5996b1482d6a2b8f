"""Whether the build of the images is given all that it reads, and nothing that is not in git: no password, no key.

Usage: build_context.py CHECKOUT RELEASE-DIRECTORY, after a release build there, whose *.d files tell what it read.
"""

import posixpath
import re
import subprocess
import sys
from pathlib import Path

# What lies around in a checkout that is in use, and must not get into an image.
PLANTED = [
    ".env",
    "deploy/compose/secrets/authority.key",
    "deploy/compose/secrets/books.pem",
    "deploy/compose/secrets/prometheus-client-secret",
    ".cargo/credentials.toml",
    ".bookstock/events.sqlite3",
    ".topology/postgresql/postgresql.conf",
    "books.rejected.csv",
    "target/release/build/ring-0/out/lib.rs",
    "e2e/identity/node_modules/jose/package.json",
]


def expression(pattern):
    """A pattern as Docker reads it: `**` is any directories, `*` and `?` stay within one."""
    parts = re.split(r"(\*\*/?|\*|\?)", posixpath.normpath(pattern))
    means = {"**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(means.get(part, re.escape(part)) for part in parts))


def rules(text):
    lines = [line.strip() for line in text.splitlines()]
    return [(expression(line.lstrip("!")), line.startswith("!")) for line in lines if line and not line.startswith("#")]


def is_sent(path, rules):
    """The last rule that matches the path, or a directory that it is in, decides."""
    within = [path, *map(str, Path(path).parents)]
    sent = True
    for pattern, takes in rules:
        if any(pattern.fullmatch(each) for each in within):
            sent = takes
    return sent


def read_by_the_build(root, release):
    """The files of the checkout that cargo names as what its programs are made of."""
    read = set()
    for names in release.glob("*.d"):
        for path in re.split(r"(?<!\\)\s+", names.read_text().split(": ", 1)[1].strip()):
            path = Path(posixpath.normpath(path.replace("\\ ", " ")))
            if path.is_relative_to(root) and not path.is_relative_to(release.parent):
                files = path.rglob("*") if path.is_dir() else [path]
                read.update(str(file.relative_to(root)) for file in files if file.is_file())
    return read


def main(root, release):
    taken = rules((root / ".dockerignore").read_text())
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True).stdout
    manifests = {"Cargo.lock", "rust-toolchain.toml", ".cargo/config.toml", "deploy/gateway/haproxy.cfg"}
    read = read_by_the_build(root, release)
    if len(read) < 100:
        sys.exit(f"{release} does not tell what the programs are made of: only {len(read)} files")
    needed = read | manifests | {path for path in listed.split("\0") if posixpath.basename(path) == "Cargo.toml"}
    wrong = [f"{path} is read by the build, and .dockerignore keeps it out" for path in sorted(needed) if not is_sent(path, taken)]
    wrong += [f"{path} would be sent to the build: .dockerignore lets it in" for path in PLANTED if is_sent(path, taken)]
    sys.exit("\n".join(wrong) or None)


main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
