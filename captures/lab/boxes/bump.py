#!/usr/bin/env python3
"""A packet filter on a cable: it carries frames between two interfaces and acts on the TLS names that pass.

reset   the ClientHello does not get through; both ends are reset, as a firewall in line does
inject  all frames get through; resets are sent as well, as a device does that only listens beside the line
drop    the ClientHello is lost, each time it is sent
"""

import argparse
import select
import socket
import struct
import time

import hello

ETH_P_ALL = 3
RST, ACK = 4, 16


class Segment:
    """A TCP segment in an Ethernet and IPv4 frame without options on IP; `ok` says whether it is one."""

    def __init__(self, frame):
        self.ok = len(frame) >= 54 and frame[12:14] == b"\x08\x00" and frame[14] == 0x45 and frame[23] == 6
        if not self.ok:
            return
        self.macs = frame[:12]
        self.src, self.dst = frame[26:30], frame[30:34]
        self.sport, self.dport, self.seq, self.ack, offset = struct.unpack_from("!HHIIB", frame, 34)
        end = 14 + struct.unpack_from("!H", frame, 16)[0]
        self.data = frame[34 + (offset >> 4) * 4:end]


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def reset(macs, src, dst, sport, dport, seq, ack, ttl):
    """A frame with RST."""
    tcp = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, 0x50, RST | ACK, 0, 0, 0)
    total = checksum(src + dst + struct.pack("!BBH", 0, 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", total) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, ttl, 6, 0, src, dst)
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return macs + b"\x08\x00" + ip + tcp


class Filter:
    """What is done about one frame: which frames go on, and which go back."""

    def __init__(self, args):
        self.args, self.cut = args, set()

    def resets(self, s):
        """Towards the server, as if from the client; and towards the client, as if from the server."""
        after = s.seq + len(s.data)
        on = reset(s.macs, s.src, s.dst, s.sport, s.dport, after if self.args.mode == "inject" else s.seq, s.ack,
                   self.args.ttl)
        back = reset(s.macs[6:] + s.macs[:6], s.dst, s.src, s.dport, s.sport, s.ack, after, self.args.ttl)
        return on, back

    def act(self, frame):
        s = Segment(frame)
        if not s.ok or s.dport != 443:
            return [frame], []
        flow = (s.src, s.sport, s.dst)
        if flow in self.cut:
            return ([], []) if self.args.mode == "drop" and s.data else ([frame], [])
        name = hello.sni(s.data)
        if name is None or not name.endswith(self.args.name):
            return [frame], []
        self.cut.add(flow)
        if self.args.mode == "drop":
            return [], []
        on, back = self.resets(s)
        return ([frame, on] if self.args.mode == "inject" else [on]), [back]


def open_port(name):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((name, ETH_P_ALL))
    return sock


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("near", help="the interface on the clients' side")
    parser.add_argument("far")
    parser.add_argument("--mode", choices=["reset", "inject", "drop"], required=True)
    parser.add_argument("--name", required=True, help="acts on TLS names that end so")
    parser.add_argument("--ttl", type=int, default=64, help="of the resets")
    parser.add_argument("--think", type=float, default=0.3, help="milliseconds until a reset is sent")
    args = parser.parse_args()
    near, far = open_port(args.near), open_port(args.far)
    box = Filter(args)
    while True:
        ready, _, _ = select.select([near, far], [], [])
        for port in ready:
            frame, (_, _, kind, _, _) = port.recvfrom(65536)
            if kind == socket.PACKET_OUTGOING:
                continue
            if port is far:
                near.send(frame)
                continue
            on, back = box.act(frame)
            if back:
                time.sleep(args.think / 1000)
            for out in on:
                far.send(out)
            for out in back:
                near.send(out)


if __name__ == "__main__":
    main()
