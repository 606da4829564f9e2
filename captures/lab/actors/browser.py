#!/usr/bin/env python3
"""A person's browser: headless Chromium opens a page and, by a script in it, a view, which it reads as it comes.

Which ports it uses is its own affair; they are read from the kernel's table while it runs.
"""

import argparse
import ipaddress
import shutil
import subprocess
import tempfile
import time

import lab

# Nothing that the program would do by itself, and nothing that a machine without a screen lacks.
SWITCHES = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
            "--disable-default-apps", "--metrics-recording-only", "--ignore-certificate-errors", "--disable-web-security",
            "--allow-running-insecure-content"]


def connections():
    """(local, remote) of this host's TCP connections, by the kernel's table."""
    def end(text):
        address, port = text.split(":")
        return str(ipaddress.ip_address(bytes.fromhex(address)[::-1])), int(port, 16)
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            words = line.split()
            yield end(words[1]), end(words[2])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--names", nargs="+", required=True, help="what it will speak to")
    parser.add_argument("--view", help="of them, the one that video comes from")
    parser.add_argument("--seconds", type=float, default=15)
    args = parser.parse_args()
    known = {address: name for name in args.names for address in lab.resolve(name)}
    profile, noted = tempfile.mkdtemp(dir=lab.RUN), set()
    browser = subprocess.Popen(["chromium", *SWITCHES, f"--user-data-dir={profile}", args.url])
    end = time.monotonic() + args.seconds
    while time.monotonic() < end:
        for local, remote in connections():
            name = known.get(remote[0])
            if name and (local, remote) not in noted:
                noted.add((local, remote))
                cls, subclass = lab.purpose(name)
                lab.note("TCP", local, remote, name, cls, ["video-down"] if name == args.view else subclass)
        time.sleep(0.02)
    browser.terminate()
    browser.wait(10)
    shutil.rmtree(profile, ignore_errors=True)


if __name__ == "__main__":
    main()
