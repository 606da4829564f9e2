"""What every filter needs: a place for its files, and certificates by its own CA."""

import os
import shutil
import subprocess
import sys

RUN = os.environ.get("LAB_RUN", "/run/lab")
CA, CA_KEY = os.path.join(RUN, "filter-ca.pem"), os.path.join(RUN, "filter-ca.key")
CLOUD_CA = os.path.join(RUN, "ca.pem")  # what a filter trusts, towards the servers


def home(name, user=None):
    """A directory for one filter's files."""
    path = os.path.join(RUN, name)
    os.makedirs(path, exist_ok=True)
    if user:
        shutil.chown(path, user)
    return path


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def certificate(path, names):
    """PATH.pem and PATH.key for those names, signed by the filter's CA; returns PATH."""
    request = subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                              "-keyout", path + ".key", "-subj", "/CN=" + names[0]],
                             check=True, capture_output=True).stdout
    write(path + ".ext", "subjectAltName=" + ",".join("DNS:" + name for name in names) + "\n")
    subprocess.run(["openssl", "x509", "-req", "-CA", CA, "-CAkey", CA_KEY, "-days", "30", "-out", path + ".pem",
                    "-extfile", path + ".ext"], input=request, check=True, capture_output=True)
    return path


def become(*command):
    """Goes on as the filter itself."""
    sys.stdout.flush()
    os.execvp(command[0], command)
