#!/usr/bin/env python3
"""An NTP server and an NTP client (RFC 5905, modes 3 and 4); neither sets a clock."""

import argparse
import socket
import struct
import time

import lab

EPOCH = 2_208_988_800  # 1970 in the NTP era
POOL = "1.cctv.pool.ntp.org"


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


def ask(host=POOL, skew=0.0, tries=4, every=4.0):
    """Asks for the time, `tries` times at most."""
    peer = (lab.resolve(host)[-1], 123)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(peer)
        sock.settimeout(every)
        lab.note("UDP", sock.getsockname(), peer, host, "ntp")
        began = time.time()
        for _ in range(tries):
            sock.send(struct.pack("!BBbb", 0x23, 0, 6, -20) + bytes(36) + now(skew))
            try:
                sock.recv(512)
            except OSError:
                continue
            if abs(skew) > 1:
                lab.moment("ntp:skewed", "UDP", sock.getsockname(), peer, host, began)
            return
        lab.moment("ntp:unanswered", "UDP", sock.getsockname(), peer, host, began)
        raise TimeoutError(f"{host} does not answer")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["serve", "ask"])
    parser.add_argument("address", nargs="?", default=POOL)
    parser.add_argument("--skew", type=float, default=0, help="seconds that the client's clock is off")
    parser.add_argument("--tries", type=int, default=4)
    args = parser.parse_args()
    if args.role == "serve":
        serve(args)
    ask(args.address, args.skew, args.tries)


if __name__ == "__main__":
    main()
