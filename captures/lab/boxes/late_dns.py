#!/usr/bin/env python3
"""A resolver that takes its time: passes questions on to another and holds each answer."""

import argparse
import socket
import threading
import time


def pass_on(server, question, peer, late, upstream):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect((upstream, 53))
        sock.send(question)
        answer = sock.recv(4096)
    time.sleep(late)
    server.sendto(answer, peer)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="192.168.1.1")
    parser.add_argument("--upstream", default="198.51.100.53")
    parser.add_argument("--delay", type=float, default=0, help="seconds that every answer is held")
    parser.add_argument("--first", type=float, default=0, help="seconds more for the first answers, of one name")
    args = parser.parse_args()
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((args.address, 53))
    number = 0
    while True:
        question, peer = server.recvfrom(4096)
        number += 1
        late = args.delay + (args.first if number <= 2 else 0)
        threading.Thread(target=pass_on, args=(server, question, peer, late, args.upstream), daemon=True).start()


if __name__ == "__main__":
    main()
