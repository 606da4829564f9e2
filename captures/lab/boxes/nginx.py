#!/usr/bin/env python3
"""nginx in front of everything in clear on 3128, and of some names in TLS on 3130, with a
certificate of the filter's CA."""

import argparse
import os

import gate

CONF = """
user root; worker_processes 1; pid {home}/pid; error_log {home}/error.log; daemon off;
events {{}}
http {{
  access_log off; {temps}
  resolver {resolver} ipv6=off;
  client_max_body_size {body_max};
  proxy_http_version 1.1;
  proxy_set_header Host $host;
  proxy_buffering {buffering};
  proxy_request_buffering {request_buffering};
  proxy_buffers {buffers};
  proxy_read_timeout {timeout};
  proxy_ssl_server_name on;
  {more}
  server {{ listen 3128; location / {{ proxy_pass http://$host$request_uri; }} }}
  {tls}
}}
"""
TLS = """server {{ listen 3130 ssl; ssl_certificate {home}/cert.pem; ssl_certificate_key {home}/cert.key;
  ssl_protocols {versions}; location / {{ proxy_pass https://$host$request_uri; }} }}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--terminate", nargs="+", metavar="NAME", help="take TLS apart for these names")
    parser.add_argument("--versions", default="TLSv1.2 TLSv1.3")
    parser.add_argument("--resolver", default="198.51.100.53")
    parser.add_argument("--buffering", choices=["on", "off"], default="on")
    parser.add_argument("--request-buffering", choices=["on", "off"], default="on")
    parser.add_argument("--buffers", default="8 16k")
    parser.add_argument("--body-max", default="0", help="of a request; more is answered with 413")
    parser.add_argument("--timeout", default="60s")
    parser.add_argument("--more", default="", help="more directives of the http block")
    args = parser.parse_args()

    home = gate.home("nginx")
    parts = {"home": home, "resolver": args.resolver, "versions": args.versions}
    if args.terminate:
        gate.certificate(os.path.join(home, "cert"), args.terminate)
    temps = " ".join(f"{kind}_temp_path {home}/temp;" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = CONF.format(tls=TLS.format(**parts) if args.terminate else "", temps=temps, buffering=args.buffering,
                       request_buffering=args.request_buffering, buffers=args.buffers, body_max=args.body_max,
                       timeout=args.timeout, more=args.more, **parts)
    gate.become("nginx", "-e", home + "/error.log", "-c", gate.write(home + "/nginx.conf", text))


if __name__ == "__main__":
    main()
