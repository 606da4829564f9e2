#!/usr/bin/env python3
"""squid: an explicit proxy on 3128, a gateway's transparent one on 3129 and, for TLS that it takes apart, on 3130. It
may ask an ICAP server about every body."""

import argparse
import glob
import subprocess

import gate

BASE = """
visible_hostname proxy.customer.example
pid_filename {home}/pid
cache_log {home}/cache.log
coredump_dir {home}
cache deny all
shutdown_lifetime 0 seconds
access_log none
acl message rep_mime_type message/http
acl posted req_mime_type message/http
{rules}
http_access allow all
"""
AUTH = {
    "basic": "auth_param basic program {lib}/basic_fake_auth\nauth_param basic realm proxy",
    "negotiate": "auth_param negotiate program {lib}/negotiate_kerberos_auth -s HTTP/proxy.customer.example",
    "ntlm": "auth_param ntlm program {lib}/ntlm_fake_auth",
}
BUMP = ("ssl-bump generate-host-certificates=on dynamic_cert_mem_cache_size=4MB tls-cert={cert} tls-key={key}")


def rules(args):
    """The lines that differ from one mode to the next."""
    if args.auth:
        for scheme in args.auth:
            yield AUTH[scheme].format(lib="/usr/lib/squid")
        for address in args.free:
            yield f"acl free src {address}\nhttp_access allow free"
        yield "acl known proxy_auth REQUIRED\nhttp_access deny !known"
    if args.deny == "post":
        yield "http_access deny posted"
    if args.deny == "response":
        yield "http_reply_access deny message\nhttp_reply_access allow all"
    if args.body_max:
        yield f"request_body_max_size {args.body_max} KB"
    if args.icap:
        yield "icap_enable on\nicap_preview_enable on\nicap_service_failure_limit -1\nicap_persistent_connections on"
        for point in args.points:
            where = f"icap://{args.icap}/{args.service}"
            yield f"icap_service lab_{point} {point}mod_precache {where} bypass=off"
            yield f"adaptation_access lab_{point} allow all"
    if args.quiet:
        yield "via off\nforwarded_for delete"
    yield from args.line


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--bump", action="store_true", help="take TLS apart with the filter's CA")
    parser.add_argument("--icap", metavar="HOST:PORT")
    parser.add_argument("--service", default="hold", help="of the ICAP server")
    parser.add_argument("--points", nargs="+", choices=["req", "resp"], default=["req", "resp"])
    parser.add_argument("--auth", nargs="+", choices=AUTH)
    parser.add_argument("--free", nargs="*", default=[], metavar="IP", help="who need not say who they are")
    parser.add_argument("--client-tls12", action="store_true", help="with --bump: TLS 1.2 at most, towards clients")
    parser.add_argument("--deny", choices=["post", "response"], help="refuse message/http")
    parser.add_argument("--body-max", type=int, metavar="KB", help="of a request")
    parser.add_argument("--quiet", action="store_true", help="no Via and no X-Forwarded-For")
    parser.add_argument("--line", action="append", default=[], help="a line of squid.conf")
    args = parser.parse_args()

    home = gate.home("squid", "proxy")
    text = BASE.format(home=home, rules="\n".join(rules(args)))
    bump = ""
    if args.bump:
        bump = BUMP.format(cert=gate.CA, key=gate.CA_KEY) + (" options=NO_TLSv1_3" if args.client_tls12 else "")
        helper = glob.glob("/usr/lib/squid/security_file_certgen")[0]
        subprocess.run([helper, "-c", "-s", home + "/certs", "-M", "4MB"], check=True, capture_output=True)
        subprocess.run(["chown", "-R", "proxy", home], check=True)
        text += (f"sslcrtd_program {helper} -s {home}/certs -M 4MB\n"
                 f"acl step1 at_step SslBump1\nssl_bump peek step1\nssl_bump bump all\n"
                 f"tls_outgoing_options cafile={gate.CLOUD_CA}\n")
    text += f"http_port 3128 {bump}\nhttp_port 3129 intercept\n"
    if args.bump:
        text += f"https_port 3130 intercept {bump}\n"
    gate.become("squid", "-N", "-f", gate.write(home + "/squid.conf", text))


if __name__ == "__main__":
    main()
