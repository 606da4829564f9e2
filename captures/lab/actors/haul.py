#!/usr/bin/env python3
"""A long cable: carries frames between two interfaces of its host, each way after a delay, and may lose some.

It stands in for the kernel's netem, which many kernels lack, and has a seed, so that the same frames are lost.
"""

import argparse
import collections
import random
import select
import socket
import time

ETH_P_ALL = 3
MAX_QUEUED = 4096


def open_port(name):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((name, ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.setblocking(False)
    return sock


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ports", nargs=2)
    parser.add_argument("--delay", type=float, default=0, help="milliseconds, each way")
    parser.add_argument("--loss", type=float, default=0, help="share of frames lost, 0 to 1")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    ports = [open_port(name) for name in args.ports]
    queue = collections.deque()  # (due, port, frame); one delay for all, so in order
    while True:
        wait = max(0, queue[0][0] - time.monotonic()) if queue else None
        ready, _, _ = select.select(ports, [], [], wait)
        for port in ready:
            try:
                frame, (_, _, kind, _, _) = port.recvfrom(65536)
            except BlockingIOError:
                continue
            if kind == socket.PACKET_OUTGOING or len(queue) >= MAX_QUEUED or chance.random() < args.loss:
                continue
            queue.append((time.monotonic() + args.delay / 1000, ports[port is ports[0]], frame))
        while queue and queue[0][0] <= time.monotonic():
            _, port, frame = queue.popleft()
            port.send(frame)


if __name__ == "__main__":
    main()
