#!/usr/bin/env python3
"""The recorder's own server, to which viewers come without the cloud: LSF, Direct Connect, Local IP, 8887."""

import argparse
import socket
import ssl
import subprocess
import threading

import lab
import recorder


def certificate():
    """The recorder's own certificate, which nobody has signed."""
    path = f"{lab.RUN}/recorder"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "3650", "-subj", "/CN=recorder", "-keyout", path + ".key", "-out", path + ".pem"],
                   check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path + ".pem", path + ".key")
    return context


def serve(sock, context, args):
    try:
        if context:
            sock = context.wrap_socket(sock, server_side=True)
        stream = sock.makefile("rb")
        while (message := lab.read_head(stream)):
            target = message[0].split(" ")[1]
            if not target.startswith("/video"):
                sock.sendall(lab.head("HTTP/1.1 200 OK", content_type="text/html", content_length=2) + b"ok")
                continue
            sock.sendall(lab.head("HTTP/1.1 200 OK", content_type="multipart/x-mixed-replace; boundary=frame",
                                  connection="close"))
            for _, picture in recorder.filmed(1, args):
                sock.sendall(picture)
            return
    except OSError:
        pass  # the viewer has left
    finally:
        sock.close()


def listen(port, context, args):
    with socket.create_server(("0.0.0.0", port)) as server:
        while True:
            threading.Thread(target=serve, args=(server.accept()[0], context, args), daemon=True).start()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ports", type=int, nargs="+", help="TLS on 443 and 8443, else none")
    parser.add_argument("--kbps", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    args = argparse.Namespace(**vars(args), seed=1, gop=30, fps=15, body="multipart", camera_late=0, camera_stops=None)
    args.kbps = [args.kbps]
    tls = certificate()
    threads = [threading.Thread(target=listen, args=(port, tls if port in (443, 8443) else None, args))
               for port in args.ports]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
