"""Plays one scenario; run by `run` as the first process of its own network, mount and process namespaces."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time

from stage import cloud, net, scenario, topology, truth

SETTLE = 0.7  # seconds before and after, in which nothing starts
WHOLE = 16384  # bytes, more than any frame here has; on `any`, tcpdump's buffer holds the fewer the more each may have


def main(name, out):
    play = scenario.load_all()[name]
    net.seal()
    topology.build(play)
    for file, text in play.files.items():
        net.write(file, text)
    cloud.note_services(play, write)
    cloud.serve(play)
    for place, box in (("gw", play.gateway), ("vgw", play.home)):
        for words in box.get("box", []):
            net.start(place, fill(words, play))
        if "port" in box:
            net.await_port(place, box["port"])
    if not play.capture_after:
        captures = start_captures(play)
    begin = time.time() + SETTLE
    steps = sorted((step(text, play) for text in play.steps), key=lambda one: one[0])
    if play.recorder is not False:
        words = ["recorder.py", "--relay", f"a1b2.{play.region}.u5fgb.com", *str(play.recorder).split()]
        steps.insert(0, (0, "rec", words))
    if play.capture_after:
        steps = sorted([*steps, (play.capture_after, None, None)], key=lambda one: one[0])
    for at, host, words in steps:
        time.sleep(max(0, begin + at - time.time()))
        if host is None:
            captures = start_captures(play)
        else:
            net.start(host, words)
    time.sleep(max(0, begin + play.seconds - time.time()))
    end = time.time()
    time.sleep(SETTLE)
    folder = os.path.join(out, play.family)
    os.makedirs(folder, exist_ok=True)
    written = [(vantage, finish(capture, folder, f"{name}-{vantage}")) for vantage, capture in captures]
    for vantage, path in written:
        truth.write(play, vantage, path, end)
        print(f"{path}: {os.path.getsize(path)} bytes")


def write(row):
    with open(net.LEDGER, "a", encoding="ascii") as ledger:
        ledger.write(json.dumps(row) + "\n")


def fill(text, play):
    """The words of a command, with {relay}, {region} and {s3} filled in."""
    names = {"relay": f"a1b2.{play.region}.u5fgb.com", "region": play.region,
             "s3": "oe-prod-media.s3.us-west-2.amazonaws.com", "run": net.RUN}
    return [word.format(**names) for word in shlex.split(text)]


def step(text, play):
    """`SECONDS HOST COMMAND…` as (seconds, host, words)."""
    at, host, words = text.split(maxsplit=2)
    return float(at), host, fill(words, play)


def start_captures(play):
    parts = {vantage: topology.TOGETHER.get(vantage, (vantage,)) for vantage in play.vantages}
    return [(vantage, [Capture(one, play) for one in of]) for vantage, of in parts.items()]


class Capture:
    """tcpdump at a vantage; where a mirror has faults of its own, at the far end of actors/mirror.py."""

    def __init__(self, vantage, play):
        self.host, port = topology.VANTAGES[vantage]
        if vantage in play.mirror or "," in port:
            tap = "tap" + vantage[:8]
            net.cable(self.host, tap, self.host, tap + "-out")
            for end in (tap, tap + "-out"):
                net.ip(self.host, "link", "set", end, "mtu", "9000")
            net.start(self.host, ["mirror.py", port, tap, *play.mirror.get(vantage, "").split()])
            port = tap + "-out"
        self.file, log = os.path.join(net.RUN, f"{vantage}.pcap"), os.path.join(net.RUN, f"{vantage}.log")
        with open(log, "w", encoding="utf-8") as sink:
            self.process = net.start(self.host, [
                "tcpdump", "-i", port, "-s", str(play.snaplen.get(vantage, WHOLE)), "-B", "65536", "-U",
                "--immediate-mode", "--time-stamp-precision=nano", "-Z", "root", "-w", self.file], stderr=sink)
        self.log = log
        for _ in range(100):
            if "listening on" in self.told():
                return
            time.sleep(0.1)
        raise RuntimeError(f"no capture at {vantage}: {self.told()}")

    def told(self):
        with open(self.log, encoding="utf-8") as log:
            return log.read()


def finish(captures, folder, name):
    """Ends captures in good order; writes them as one compressed pcapng and returns the path."""
    for capture in captures:
        capture.process.send_signal(signal.SIGINT)
        capture.process.wait(10)
        if "\n0 packets dropped by kernel" not in capture.told():
            raise RuntimeError(f"capture {name} is not whole: {capture.told()}")
    plain, path = os.path.join(net.RUN, name + ".pcapng"), os.path.join(folder, name + ".pcapng.zst")
    files = [capture.file for capture in captures]
    words = ["editcap", "-F", "pcapng", *files, plain] if len(files) == 1 else ["mergecap", "-F", "pcapng", "-w", plain, *files]
    subprocess.run(words, check=True)
    subprocess.run(["zstd", "-q", "-f", "-19", plain, "-o", path], check=True)
    return path


if __name__ == "__main__":
    main(*sys.argv[1:])
