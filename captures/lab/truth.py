#!/usr/bin/env python3
"""Writes the truth of one capture: which flows it holds and what each was started for.

Classes and names come from the ledger, which the actors wrote while they opened their sockets; counts come from
tshark. A flow that nobody wrote down, or one written down that a host of this capture opened and the capture lacks,
is an error: then the recipe is wrong, or the capture is not whole.
"""

import json
import subprocess
import sys

FIELDS = ["frame.len", "ip.src", "ip.dst", "ip.proto", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
          "dns.qry.name"]
PROTO = {"6": "TCP", "17": "UDP"}


def frames(path):
    """(endpoint from, endpoint to, protocol, wire length, queried name) of each TCP or UDP frame, then others."""
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "occurrence=f"]
    for field in FIELDS:
        command += ["-e", field]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for line in out.splitlines():
        length, src, dst, proto, tcp_s, tcp_d, udp_s, udp_d, name = line.split("\t")
        if proto in PROTO:
            yield (src, int(tcp_s or udp_s)), (dst, int(tcp_d or udp_d)), PROTO[proto], int(length), name
        else:
            yield None, None, None, int(length), ""


def count(path):
    """The flows of a capture by 5-tuple, the sender of the first packet first, and the other frames' number."""
    flows, other = {}, 0
    for src, dst, proto, length, name in frames(path):
        if proto is None:
            other += 1
            continue
        back = (proto, dst, src) in flows
        flow = flows.setdefault((proto, dst, src) if back else (proto, src, dst),
                                {"pkts": [0, 0], "bytes": [0, 0], "names": []})
        flow["pkts"][back] += 1
        flow["bytes"][back] += length
        if name and name not in flow["names"]:
            flow["names"].append(name)
    return flows, other


def main(path, ledger_path):
    exact, services = {}, {}
    with open(ledger_path, encoding="ascii") as ledger:
        for row in map(json.loads, ledger):
            dest = (row["dest_ip"], row["dest_port"])
            if "src_port" in row:
                exact[row["proto"], (row["src_ip"], row["src_port"]), dest] = row
            else:
                services[row["proto"], dest] = row
    flows, other = count(path)
    told, wrong = [], []
    for (proto, src, dst), flow in flows.items():
        row = exact.get((proto, src, dst)) or services.get((proto, dst))
        if row is None:
            wrong.append(f"nobody wrote down {proto} {src} -> {dst}")
            continue
        told.append({
            "proto": proto, "src_ip": src[0], "src_port": src[1], "dest_ip": dst[0], "dest_port": dst[1],
            "class": row["class"], "subclass": row["subclass"],
            "names": flow["names"] or [row["name"]],
            "pkts_toserver": flow["pkts"][0], "pkts_toclient": flow["pkts"][1],
            "bytes_toserver": flow["bytes"][0], "bytes_toclient": flow["bytes"][1],
        })
    hosts = {src[0] for _, src, _ in flows}
    wrong += [f"not captured: {key}" for key in exact if key[1][0] in hosts and key not in flows]
    if wrong:
        sys.exit("\n".join(wrong))
    total = sum(sum(flow["pkts"]) for flow in flows.values())
    head = {"capture": path.rsplit("/", 1)[-1], "frames": total + other, "other_frames": other, "flows": len(told)}
    lines = ",\n".join("    " + json.dumps(flow) for flow in told)
    print(json.dumps(head)[:-1] + ',\n  "truth": [\n' + lines + "\n  ]\n}")


if __name__ == "__main__":
    main(*sys.argv[1:])
