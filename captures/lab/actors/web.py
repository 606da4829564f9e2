#!/usr/bin/env python3
"""curl as an actor: its port is chosen before it starts, so that its flow can be written down at once."""

import argparse
import random
import re
import socket
import subprocess
import time
import urllib.parse

import lab

# curl's exit codes -> what became of the connection; that ICMP refused it, it does not tell.
FAILED = {7: "tcp:refused", 28: "tcp:timeout", 35: "tls:reset", 56: "tls:reset", 22: "http:refused"}


def fetch(url, *switches, subclass=None, proxy=None, timeout=12):
    """One request by curl, to each address of the name until one goes well; raises OSError if none does."""
    parts = urllib.parse.urlsplit(url)
    peers = [(proxy.split(":")[0], int(proxy.split(":")[1]))] if proxy else [
        (address, parts.port or {"https": 443, "http": 80}[parts.scheme]) for address in lab.resolve(parts.hostname)]
    for peer in peers:
        last = peer == peers[-1]
        try:
            fetch_from(peer, url, parts.hostname, switches, subclass, proxy, timeout if last else 4)
            return
        except OSError:
            if last:
                raise


def fetch_from(peer, url, host, switches, subclass, proxy, timeout):
    family = socket.AF_INET6 if ":" in peer[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(peer)
        local = (probe.getsockname()[0], random.randrange(32768, 60999))
    target = f"[{peer[0]}]" if family == socket.AF_INET6 else peer[0]
    way = ["-x", proxy] if proxy else ["--connect-to", f"::{target}:{peer[1]}"]
    command = ["curl", "-sS", "--fail", "--http1.1", "--cacert", lab.CA, "-o", "/dev/null", "-m", str(timeout),
               "--connect-timeout", "12", "--local-port", str(local[1]), *way, *switches, url]
    cls, usual = lab.purpose(host)
    lab.note("TCP", local, peer, host, cls, usual if subclass is None else subclass)
    lab.moment("http:begun", "TCP", local, peer, host)
    began = time.time()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        what = ("proxy:refused" if re.search("response 407|code 407", done.stderr) else
                "http:timeout" if "Operation timed out" in done.stderr else
                "tls:alert" if "alert" in done.stderr or done.returncode == 60 else
                FAILED.get(done.returncode, "http:failed"))
        lab.moment(what, "TCP", local, peer, host, began)
        raise OSError(f"{url}: {done.stderr.strip()}")


def upload(url, size, rate, proxy=None, subclass=None):
    """A PUT of `size` random bytes at `rate` bytes a second."""
    path = f"{lab.RUN}/upload-{random.randrange(1 << 30)}"
    with open(path, "wb") as file:
        file.write(random.randbytes(size))
    fetch(url, "-A", "recorder/1.0", "-T", path, "--limit-rate", str(rate), proxy=proxy, timeout=60, subclass=subclass)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--upload", type=int, help="bytes to PUT instead of a GET")
    parser.add_argument("--rate", type=int, default=60_000, help="of the upload, bytes a second")
    parser.add_argument("--proxy", metavar="IP:PORT")
    parser.add_argument("--agent", default="recorder/1.0")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--every", type=float, default=5)
    parser.add_argument("--timeout", type=float, default=12)
    parser.add_argument("--switches", default="", help="more switches of curl")
    args = parser.parse_args()
    for _ in range(args.times):
        try:
            if args.upload:
                upload(args.url, args.upload, args.rate, args.proxy)
            else:
                fetch(args.url, "-A", args.agent, *args.switches.split(), proxy=args.proxy, timeout=args.timeout)
        except OSError as error:
            print(error)
        time.sleep(args.every if args.times > 1 else 0)


if __name__ == "__main__":
    main()
