#!/usr/bin/env python3
"""HAProxy, transparent: it copies bytes, or speaks HTTP with what comes to 3128 and may wait for a request's whole
body. What comes to 3130 it copies."""

import argparse

import gate

CONF = """
global
  maxconn 200
  tune.bufsize {bufsize}
defaults
  timeout connect 10s
  timeout client 5m
  timeout server 5m
listen clear
  bind :3128
  mode {mode}
  {buffer}
  option transparent
listen tls
  bind :3130
  mode tcp
  option transparent
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=["tcp", "http"], default="tcp")
    parser.add_argument("--buffer-request", action="store_true")
    parser.add_argument("--bufsize", type=int, default=16384)
    args = parser.parse_args()
    home = gate.home("haproxy")
    text = CONF.format(mode=args.mode, bufsize=args.bufsize,
                       buffer="option http-buffer-request" if args.buffer_request else "")
    gate.become("haproxy", "-db", "-f", gate.write(home + "/haproxy.cfg", text))


if __name__ == "__main__":
    main()
