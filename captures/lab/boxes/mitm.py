#!/usr/bin/env python3
"""mitmproxy: transparent or explicit, on 3128, taking TLS apart. As it comes it holds every body to its end;
told to stream, it passes them on."""

import argparse
import os

import gate


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--explicit", action="store_true")
    parser.add_argument("--stream", metavar="SIZE", help="pass on bodies that are larger, as they come: 1, 3m …")
    parser.add_argument("--body-limit", metavar="SIZE", help="refuse bodies that are larger")
    parser.add_argument("--set", nargs="*", default=[], metavar="OPTION=VALUE")
    args = parser.parse_args()

    home = gate.home("mitm")
    gate.write(os.path.join(home, "mitmproxy-ca.pem"), gate.read(gate.CA_KEY) + gate.read(gate.CA))
    options = [f"confdir={home}", f"ssl_verify_upstream_trusted_ca={gate.CLOUD_CA}", "connection_strategy=lazy",
               "listen_port=3128", *args.set]
    if args.stream:
        options.append(f"stream_large_bodies={args.stream}")
    if args.body_limit:
        options.append(f"body_size_limit={args.body_limit}")
    words = ["mitmdump", "-q", "--mode", "regular" if args.explicit else "transparent"]
    for option in options:
        words += ["--set", option]
    gate.become(*words)


if __name__ == "__main__":
    main()
