"""Hosts, cables and processes of one sealed scenario. Everything ends with its first process."""

import os
import socket
import subprocess
import sys
import time

LAB = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
RUN = "/run/lab"
LEDGER = os.path.join(RUN, "ledger")
RESOLV = os.path.realpath("/etc/resolv.conf")


def seal():
    """Covers up what of the machine could reach in: sockets, and the files of its resolver."""
    subprocess.run(["mount", "-t", "tmpfs", "lab", "/run"], check=True)
    os.makedirs(RUN, mode=0o755)
    open(LEDGER, "w", encoding="ascii").close()
    os.chmod(LEDGER, 0o666)  # filters that drop their privileges write too
    os.makedirs(os.path.dirname(RESOLV), exist_ok=True)
    for name, text in {"resolv.none": "", "hosts": "127.0.0.1 localhost\n", "nsswitch": "hosts: files dns\n"}.items():
        write(name, text)
    if not os.path.exists(RESOLV):
        open(RESOLV, "w", encoding="ascii").close()
    for name, place in {"resolv.none": RESOLV, "hosts": "/etc/hosts", "nsswitch": "/etc/nsswitch.conf"}.items():
        subprocess.run(["mount", "--bind", os.path.join(RUN, name), place], check=True)
    os.environ |= {"LAB_RUN": RUN, "LAB_LEDGER": LEDGER, "LAB_CA": os.path.join(RUN, "trust.pem"), "TMPDIR": RUN,
                   "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": os.path.join(LAB, "actors")}


def write(name, text):
    path = os.path.join(RUN, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def ip(host, *words):
    subprocess.run(["ip", "-n", host, *words], check=True)


def sysctl(host, **values):
    words = [f"{key.replace('__', '.')}={value}" for key, value in values.items()]
    subprocess.run(["ip", "netns", "exec", host, "sysctl", "-qw", *words], check=True)


def nft(host, rules):
    subprocess.run(["ip", "netns", "exec", host, "nft", "-f", "-"], input=rules, text=True, check=True)


def host(name, dns="127.0.0.1", ipv6=False):
    """A host without interfaces."""
    subprocess.run(["ip", "netns", "add", name], check=True)
    off = 0 if ipv6 else 1
    sysctl(name, net__ipv6__conf__all__disable_ipv6=off, net__ipv6__conf__default__disable_ipv6=off,
           net__ipv6__conf__default__accept_dad=0, net__ipv4__ping_group_range="0 0",
           net__ipv4__tcp_congestion_control="reno")  # which every kernel has
    ip(name, "link", "set", "lo", "up")
    resolver(name, dns)


def resolver(name, dns):
    write(f"resolv.{name}", f"nameserver {dns}\n")


def cable(left, left_port, right, right_port):
    """A cable between two hosts. Offloads are off, so that frames are what a wire would carry."""
    ip(left, "link", "add", left_port, "type", "veth", "peer", "name", right_port, "netns", right)
    for end, port in ((left, left_port), (right, right_port)):
        subprocess.run(["ip", "netns", "exec", end, "ethtool", "-K", port, "tx", "off", "rx", "off", "tso", "off",
                        "gso", "off", "gro", "off"], check=True, stdout=subprocess.DEVNULL)
        ip(end, "link", "set", port, "up")


def wire(left, left_port, right, right_port, switches=""):
    """A cable; with switches, a long one by actors/wire.py, or by the program that they name, in a host of its own."""
    if not switches:
        cable(left, left_port, right, right_port)
        return
    middle = f"wire-{left}-{right}"
    host(middle)
    cable(left, left_port, middle, "near")
    cable(middle, "far", right, right_port)
    words = switches.split()
    program = words.pop(0) if words[0].endswith(".py") else "wire.py"
    start(middle, [program, "near", "far", *words])


def address(name, port, *cidrs):
    for cidr in cidrs:
        ip(name, "addr", "add", cidr, "dev", port)


def command(words):
    """The words of a command; NAME.py is one of the actors or boxes."""
    program = words[0]
    for folder in ("actors", "boxes"):
        path = os.path.join(LAB, folder, program)
        if program.endswith(".py") and os.path.exists(path):
            return [sys.executable, "-u", path, *words[1:]]
    return list(words)


def start(name, words, **more):
    """Starts a command in a host of the lab, with that host's resolver."""
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    return subprocess.Popen(["nsenter", f"--net=/run/netns/{name}", "unshare", "--mount", "sh", "-c", script, "sh",
                             os.path.join(RUN, f"resolv.{name}"), RESOLV, *command(words)],
                            stdin=subprocess.DEVNULL, cwd=RUN, **more)


def await_port(name, port, at="0.0.0.0", seconds=60):
    """Waits until something listens on a TCP port, by the kernel's table: no packet is sent."""
    wanted = {f"{socket.inet_aton(one)[::-1].hex().upper()}:{port:04X} " for one in (at, "0.0.0.0")}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        table = subprocess.run(["ip", "netns", "exec", name, "cat", "/proc/net/tcp"],
                               capture_output=True, text=True, check=False).stdout
        if any(" 0A " in line and any(one in line for one in wanted) for line in table.splitlines()):
            return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on {name}:{port} after {seconds} s")
