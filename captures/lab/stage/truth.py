"""Writes the truth of one capture: which flows it holds, what each was started for, and what is wrong in it.

Classes, names and the moments of faults come from the ledger, which actors and boxes wrote while they opened their
sockets and did what they do; addresses after translation come from the gateways' kernels; packets and bytes were
counted by tshark. No analyzer of ours has a part in it. A flow that nobody wrote down, or one written down that a host
of this capture opened and the capture lacks, is an error: then the recipe is wrong, or the capture is not whole.
"""

import datetime
import fnmatch
import json
import os
import re
import subprocess

from stage import net

FIELDS = ["frame.len", "frame.protocols", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport",
          "udp.srcport", "udp.dstport", "dns.qry.name", "sctp.srcport", "sctp.dstport"]
MIRRORS = ("erspan", "vxlan")
MIN_VIDEO = 100_000  # bytes of a flow that may be called video; many a view is asked for and does not come
CONNTRACK = re.compile(r"src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)")


def frames(path):
    """(protocol, source, destination, wire length, queried name) of each frame; the protocol is None for others."""
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "occurrence=a"]
    for field in FIELDS:
        command += ["-e", field]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for line in out.splitlines():
        length, protocols, *rest = line.split("\t")
        length = int(length.split(",")[0])
        layers = protocols.split(":")
        inside = next((layers.index(word) for word in MIRRORS if word in layers), 0)
        layers, inside = layers[inside:], min(inside, 1)
        src, dst, src6, dst6, tcp_s, tcp_d, udp_s, udp_d, name, _, _ = (field.split(",") for field in rest)
        proto = next((word.upper() for word in layers if word in ("tcp", "udp", "icmp", "icmpv6")), None)
        ports = {"TCP": (tcp_s, tcp_d), "UDP": (udp_s, udp_d)}.get(proto)
        if ports is None or not ports[0][0]:
            yield None, None, None, length, ""
            continue
        address = (src, dst) if src[0] else (src6, dst6)
        nth = inside if len(address[0]) > inside else 0
        port_nth = nth if len(ports[0]) > nth else 0
        yield (proto, (address[0][nth], int(ports[0][port_nth])), (address[1][nth], int(ports[1][port_nth])),
               length, name[0])


def count(path, opened):
    """The flows of a capture by 5-tuple, the originator first (`opened` are those known), and the other frames."""
    flows, other = {}, 0
    for proto, src, dst, length, name in frames(path):
        if proto is None:
            other += 1
            continue
        key = (proto, src, dst)
        back = (proto, dst, src) in flows or (key not in flows and key not in opened
                                                     and (proto, dst, src) in opened)
        flow = flows.setdefault((proto, dst, src) if back else key, {"pkts": [0, 0], "bytes": [0, 0], "names": []})
        flow["pkts"][back] += 1
        flow["bytes"][back] += length
        if name and name not in flow["names"]:
            flow["names"].append(name)
    return flows, other


class Ledger:
    """What was written down while the scenario ran."""

    def __init__(self):
        self.flows, self.services, self.moments = {}, {}, []
        with open(net.LEDGER, encoding="ascii") as ledger:
            for row in map(json.loads, ledger):
                if "service" in row:
                    self.services[row["service"], row.get("dest_port")] = row
                elif "moment" in row:
                    self.moments.append(row)
                else:
                    self.flows[key_of(row)] = row
        self.translate()

    def translate(self):
        """Adds what flows are called after each gateway that translated them, by the gateways' own tables."""
        rows = []
        for name in sorted(os.listdir(net.RUN)):
            if name.startswith("nat."):
                with open(os.path.join(net.RUN, name), encoding="ascii", errors="replace") as file:
                    rows += file.readlines()
        self.aliases = {}
        for _ in range(3):  # through up to three gateways
            for line in rows:
                proto = line.split("]", 1)[-1].split()[0].upper()
                there, back = CONNTRACK.findall(line)[:2] if len(CONNTRACK.findall(line)) > 1 else (None, None)
                if there is None:
                    continue
                before = (proto, (there[0], int(there[2])), (there[1], int(there[3])))
                after = (proto, (back[1], int(back[3])), (back[0], int(back[2])))
                if before != after and before in self.flows and after not in self.flows:
                    self.flows[after] = self.flows[before] | {"translated": True}
                    self.aliases.setdefault(before, []).append(after)

    def known_as(self, key):
        """A flow's 5-tuple and those that gateways made of it."""
        names = [key]
        for name in names:
            names += self.aliases.get(name, [])
        return names

    def row(self, proto, src, dst):
        return (self.flows.get((proto, src, dst)) or self.services.get((dst[0], dst[1])) or
                self.services.get((dst[0], None)))


def key_of(row):
    return row["proto"], (row["src_ip"], row["src_port"]), (row["dest_ip"], row["dest_port"])


def tuple_of(key):
    proto, src, dst = key
    return {"proto": proto, "src_ip": src[0], "src_port": src[1], "dest_ip": dst[0], "dest_port": dst[1]}


def moment_text(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def tell_flows(ledger, flows, end, partial):
    told, wrong = [], []
    for key, flow in flows.items():
        row = ledger.row(*key)
        if row is None:
            wrong.append(f"nobody wrote down {key}")
            continue
        carried = {"video-up": flow["bytes"][0], "video-down": flow["bytes"][1]}
        told.append(tuple_of(key) | {
            "class": row["class"],
            "subclass": [word for word in row["subclass"] if carried.get(word, MIN_VIDEO) >= MIN_VIDEO],
            "names": flow["names"] or ([row["name"]] if row["name"] else []),
            "pkts_toserver": flow["pkts"][0], "pkts_toclient": flow["pkts"][1],
            "bytes_toserver": flow["bytes"][0], "bytes_toclient": flow["bytes"][1]})
    hosts = {src[0] for _, src, _ in flows}
    if not partial:
        wrong += [f"not captured: {key}" for key, row in ledger.flows.items()
                  if key[1][0] in hosts and not {key, (key[0], key[2], key[1])} & flows.keys()
                  and row["time"] < end and "translated" not in row
                  and key[1][0].rsplit(".", 1)[0] != key[2][0].rsplit(".", 1)[0]]
    if wrong:
        raise RuntimeError("\n".join(wrong))
    return told


def tell_findings(ledger, flows, expectations):
    """Each expected finding, with the first flow and moment at this vantage that the ledger has for it, one a host."""
    told = []
    for wanted in expectations:
        base = {"kind": wanted.kind} | ({"mode": wanted.mode} if wanted.mode else {})
        if wanted.moment is None:
            told.append(base)
            continue
        hosts = set()
        for row in ledger.moments:
            key = next((name for name in ledger.known_as(key_of(row)) if name in flows), None)
            if (key is None or row["name"] in hosts or not fnmatch.fnmatch(row["moment"], wanted.moment)
                    or not fnmatch.fnmatch(row["name"], wanted.host)):
                continue
            hosts.add(row["name"])
            told.append(base | ({} if wanted.once else {"host": row["name"]}) | {
                "flow": tuple_of(key), "flow_start": moment_text(ledger.flows.get(key, row)["time"]),
                "first": moment_text(row["time"])})
            if wanted.once:
                break
        if not hosts:
            raise RuntimeError(f"expected {wanted}, but the ledger has no such moment here")
    return told


def write(scenario, vantage, path, end):
    ledger = Ledger()
    flows, other = count(path, ledger.flows)
    partial = vantage in scenario.mirror or scenario.capture_after > 0 or vantage in scenario.snaplen
    told = tell_flows(ledger, flows, end, partial)
    total = sum(sum(flow["pkts"]) for flow in flows.values())
    head = {"capture": os.path.basename(path), "scenario": scenario.name, "vantage": vantage,
            "purpose": scenario.purpose, "rules": scenario.rules,
            "frames": total + other, "other_frames": other, "flows": len(told)}
    must, may = (tell_findings(ledger, flows, scenario.expected(vantage, word)) for word in ("must", "may"))
    rows = {"truth": told, "must": must, "may": may}
    lines = [f'  "{key}": [' + ",".join("\n    " + json.dumps(row) for row in value) + ("\n  ]" if value else "]")
             for key, value in rows.items()]
    lines.append('  "must_not": ' + json.dumps(scenario.expect.get(vantage, {}).get("must_not", [])))
    with open(path.removesuffix(".pcapng.zst") + ".truth.json", "w", encoding="ascii") as file:
        file.write(json.dumps(head)[:-1] + ",\n" + ",\n".join(lines) + "\n}\n")
