#!/usr/bin/env python3
"""An NTP server and an NTP client (RFC 5905, modes 3 and 4); neither sets a clock."""

import argparse
import socket
import struct
import time

import lab

EPOCH = 2_208_988_800  # 1970 in the NTP era


def now(skew=0.0):
    moment = time.time() + skew
    return struct.pack("!II", int(moment) + EPOCH, int(moment % 1 * 2**32))


def serve(args):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((args.address, 123))
    while True:
        data, peer = sock.recvfrom(512)
        if len(data) >= 48 and data[0] & 7 == 3:
            head = struct.pack("!BBbbII4s", 0x24, 2, data[2], -20, 0x100, 0x200, b"\xc6\x33\x64\x01")
            sock.sendto(head + now() + data[40:48] + now() + now(), peer)


def ask(args):
    peer = (socket.gethostbyname(args.address), 123)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(peer)
        sock.settimeout(2)
        lab.note("UDP", sock.getsockname(), peer, args.address, "ntp")
        sock.send(struct.pack("!BBbb", 0x23, 0, 6, -20) + bytes(36) + now(args.skew))
        print(f"ntp: {len(sock.recv(512))} bytes from {peer[0]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["serve", "ask"])
    parser.add_argument("address")
    parser.add_argument("--skew", type=float, default=0, help="seconds that the client's clock is off")
    args = parser.parse_args()
    (serve if args.role == "serve" else ask)(args)


if __name__ == "__main__":
    main()
