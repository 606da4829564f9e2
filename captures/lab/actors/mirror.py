#!/usr/bin/env python3
"""A switch's mirror port, with the faults and wrappings that mirrors have: copies what an interface sees to another.
Of several interfaces (A,B,…) it copies what comes in at each, so that a frame between two of them is seen once.

  --vlan N[,M]     tags the copies (802.1Q, and QinQ with two), --vlan-back N those towards the first port's host
  --duplicate P    a share of frames is copied twice, as where two VLANs or both ports of a path are mirrored
  --one-side W     only frames that leave (`rx`: sent by hosts behind the port) or only those that arrive (`tx`)
  --drop P         a share of copies is lost, as on a port too slow for what it mirrors
  --wrap W         erspan1, erspan2, erspan3 or vxlan, from 10.99.0.1 to 10.99.0.2
"""

import argparse
import random
import select
import socket
import struct
import time

ETH_P_ALL = 3
OUTER = bytes.fromhex("02000000000202000000000108 00".replace(" ", ""))


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def ipv4(proto, payload, number):
    addresses = socket.inet_aton("10.99.0.1") + socket.inet_aton("10.99.0.2")
    start = struct.pack("!BBHHHBB", 0x45, 0, 20 + len(payload), number & 0xFFFF, 0, 64, proto)
    return start + struct.pack("!H", checksum(start + b"\0\0" + addresses)) + addresses + payload


def wrap(kind, frame, number):
    """ERSPAN over GRE (types I, II, III) or VXLAN (RFC 7348) around a frame."""
    if kind == "vxlan":
        inner = struct.pack("!II", 0x08000000, 42 << 8) + frame
        return OUTER + ipv4(17, struct.pack("!HHHH", 49152 + number % 1000, 4789, 8 + len(inner), 0) + inner, number)
    if kind == "erspan1":
        return OUTER + ipv4(47, struct.pack("!HH", 0, 0x88BE) + frame, number)
    if kind == "erspan2":
        return OUTER + ipv4(47, struct.pack("!HHIHHI", 0x1000, 0x88BE, number, 0x1000 | 30, 7, 0) + frame, number)
    stamp = time.time_ns() // 100_000 & 0xFFFFFFFF  # type III, granularity 100 microseconds
    inner = struct.pack("!HHIHHIHH", 0x1000, 0x22EB, number, 0x2000 | 30, 7, stamp, 0, 0) + frame
    return OUTER + ipv4(47, inner, number)


def tagged(frame, tags):
    for place, tag in enumerate(reversed(tags)):
        outer = place == len(tags) - 1 and len(tags) > 1
        frame = frame[:12] + struct.pack("!HH", 0x88A8 if outer else 0x8100, tag) + frame[12:]
    return frame


def open_port(name):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((name, ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    return sock


def frames(sources):
    """Each frame, and whether it leaves by the port; of several ports only those that come in."""
    while True:
        for source in select.select(sources, [], [])[0]:
            frame, (_, _, kind, _, _) = source.recvfrom(65536)
            back = kind == socket.PACKET_OUTGOING
            if not (back and len(sources) > 1):
                yield frame, back


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("sink")
    parser.add_argument("--vlan", type=lambda text: [int(word) for word in text.split(",")], default=[])
    parser.add_argument("--vlan-back", type=int)
    parser.add_argument("--duplicate", type=float, default=0)
    parser.add_argument("--one-side", choices=["rx", "tx"])
    parser.add_argument("--drop", type=float, default=0)
    parser.add_argument("--wrap", choices=["erspan1", "erspan2", "erspan3", "vxlan"])
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    sources = [open_port(name) for name in args.source.split(",")]
    sink = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    sink.bind((args.sink, 0))
    number = 0
    for frame, back in frames(sources):
        if args.one_side == ("rx" if back else "tx") or chance.random() < args.drop:
            continue
        copies = [tagged(frame, [args.vlan_back] if back and args.vlan_back else args.vlan)]
        if chance.random() < args.duplicate:
            copies.append(tagged(frame, [args.vlan_back or 99]) if args.vlan else frame)
        for copy in copies:
            number += 1
            sink.send(wrap(args.wrap, copy, number) if args.wrap else copy)


if __name__ == "__main__":
    main()
