"""Installs what the lab needs: Debian packages, and Python modules into a cache outside the tree."""

import os
import shutil
import subprocess
import sys
import venv

LAB = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
# Command -> Debian package, needed by every scenario.
COMMANDS = {
    "ip": "iproute2", "nft": "nftables", "conntrack": "conntrack", "ethtool": "ethtool", "dnsmasq": "dnsmasq-base",
    "nginx": "nginx-light", "tcpdump": "tcpdump", "tshark": "tshark", "editcap": "wireshark-common",
    "openssl": "openssl", "curl": "curl", "zstd": "zstd", "unshare": "util-linux", "sysctl": "procps",
}


def everything(packages):
    """Installs the lab's own needs and `packages`; returns the Python that has the modules of requirements.txt."""
    missing = {package for command, package in COMMANDS.items() if not shutil.which(command)}
    missing |= {package for package in packages if not installed(package)}
    if missing:
        print("installing", *sorted(missing), file=sys.stderr)
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], stdout=sys.stderr, env=environment, check=False)
        subprocess.run(["apt-get", "install", "-yq", "--no-install-recommends", *sorted(missing)],
                       stdout=sys.stderr, env=environment, check=True)
    return modules(os.path.join(LAB, "requirements.txt"))


def installed(package):
    query = ["dpkg-query", "-W", "-f", "${Status}", package]
    return "ok installed" in subprocess.run(query, capture_output=True, text=True, check=False).stdout


def modules(requirements):
    """A virtual environment with `requirements`, made anew when they change."""
    with open(requirements, encoding="ascii") as file:
        wanted = file.read()
    home = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "relayscope-lab")
    python, stamp = os.path.join(home, "bin", "python3"), os.path.join(home, "requirements.txt")
    try:
        with open(stamp, encoding="ascii") as file:
            if file.read() == wanted:
                return python
    except FileNotFoundError:
        pass
    venv.create(home, with_pip=True, clear=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", requirements], stdout=sys.stderr, check=True)
    with open(stamp, "w", encoding="ascii") as file:
        file.write(wanted)
    return python
