#!/usr/bin/env python3
"""A STUN server and a STUN client (RFC 8489: Binding, XOR-MAPPED-ADDRESS over IPv4), just enough for the lab."""

import argparse
import os
import socket
import struct
import time
import zlib

import lab

COOKIE = 0x2112A442


def message(kind, transaction, attributes):
    body = b"".join(struct.pack("!HH", t, len(v)) + v + bytes(-len(v) % 4) for t, v in attributes)
    start = struct.pack("!HHI", kind, len(body) + 8, COOKIE) + transaction + body
    return start + struct.pack("!HHI", 0x8028, 4, zlib.crc32(start) ^ 0x5354554E)


def address(kind, peer):
    """An address attribute; the XOR'ed form for XOR-MAPPED-ADDRESS."""
    mask = COOKIE if kind == 0x0020 else 0
    number = struct.unpack("!I", socket.inet_aton(peer[0]))[0]
    return kind, struct.pack("!BBHI", 0, 1, peer[1] ^ mask >> 16, number ^ mask)


def serve(args):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((args.address, args.port))
    while True:
        data, peer = sock.recvfrom(2048)
        if len(data) < 20 or struct.unpack_from("!HxxI", data) != (0x0001, COOKIE):
            continue
        attributes = [address(0x0020, peer), (0x8022, b"lab stun")]
        if args.other_address:
            attributes.append(address(0x802C, (args.other_address, args.port + 1)))
        sock.sendto(message(0x0101, data[8:20], attributes), peer)


def ask(host, port=3478, first_wait=0.5, tries=7):
    """One Binding transaction with its retransmissions (RFC 8489 section 6.2.1); what follows is a new one."""
    peer = (lab.resolve(host)[-1], port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(peer)
        lab.note("UDP", sock.getsockname(), peer, host, "stun")
        request, began = message(0x0001, os.urandom(12), [(0x8022, b"recorder")]), time.time()
        for number in range(tries):
            sock.settimeout(first_wait * 2**number if number < tries - 1 else first_wait * 16)
            try:
                sock.send(request)
                sock.recv(2048)
                return
            except TimeoutError:
                if number == 4:
                    lab.moment("stun:unanswered", "UDP", sock.getsockname(), peer, host, began)
    raise TimeoutError(f"{host} does not answer")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=["serve", "ask"])
    parser.add_argument("address")
    parser.add_argument("--port", type=int, default=3478)
    parser.add_argument("--other-address", help="answer with OTHER-ADDRESS (RFC 5780), as the vendor's may or may not")
    args = parser.parse_args()
    if args.role == "serve":
        serve(args)
    ask(args.address, args.port)


if __name__ == "__main__":
    main()
