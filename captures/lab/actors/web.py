#!/usr/bin/env python3
"""curl as an actor: its port is chosen before it starts, so that its flow can be written down at once."""

import argparse
import random
import socket
import subprocess
import time
import urllib.parse

import lab

# curl's exit codes -> what became of the connection.
FAILED = {7: "tcp:refused", 28: "tcp:timeout", 35: "tls:reset", 56: "tls:reset", 60: "tls:failed", 22: "http:refused"}


def fetch(url, *switches, subclass=None, proxy=None, timeout=12, name=None):
    """One request by curl; raises OSError unless it went well. `name` is what the flow is noted under."""
    parts = urllib.parse.urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    cls, usual = lab.purpose(parts.hostname)
    address, at = (proxy.split(":")[0], int(proxy.split(":")[1])) if proxy else (lab.resolve(parts.hostname)[-1], port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, at))
        local = (probe.getsockname()[0], random.randrange(32768, 60999))
    target = parts.hostname + ":" + str(port)
    command = ["curl", "-sS", "--fail", "--http1.1", "--cacert", lab.CA, "-o", "/dev/null", "-m", str(timeout), "--connect-timeout", "12",
               "--local-port", str(local[1]), *(["-x", proxy] if proxy else ["--resolve", f"{target}:{address}"])]
    lab.note("TCP", local, (address, at), name or parts.hostname, cls, usual if subclass is None else subclass)
    lab.moment("http:begun", "TCP", local, (address, at), parts.hostname)
    began = time.time()
    done = subprocess.run([*command, *switches, url], check=False, capture_output=True, text=True)
    if done.returncode:
        what = "http:timeout" if "Operation timed out" in done.stderr else FAILED.get(done.returncode, "http:failed")
        lab.moment(what, "TCP", local, (address, at), parts.hostname, began)
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
