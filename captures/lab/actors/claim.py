#!/usr/bin/env python3
"""Claims an IPv4 address on a LAN by gratuitous ARP (RFC 5227 section 3), again and again."""

import argparse
import socket
import struct
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--port", default="eth0")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--every", type=float, default=3)
    args = parser.parse_args()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((args.port, 0))
        own, address = sock.getsockname()[4], socket.inet_aton(args.address)
        arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + address + bytes(6) + address
        for _ in range(args.times):
            sock.send(b"\xff" * 6 + own + b"\x08\x06" + arp + bytes(18))
            time.sleep(args.every)


if __name__ == "__main__":
    main()
