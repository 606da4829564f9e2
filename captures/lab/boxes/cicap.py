#!/usr/bin/env python3
"""c-icap on port 1344 with its virus scanner and clamd, for squid to ask: `avscan`. It holds an object until it has all
of it, or lets a share through as it comes in, and passes on what is larger than its limit."""

import argparse
import shutil
import subprocess
import time

import gate

SCANNER = """
PidFile {home}/pid
CommandsSocket {home}/ctl
Port 127.0.0.1:1344
User root
Group root
TmpDir {home}
Timeout 600
KeepAliveTimeout 600
StartServers 1
MaxServers 3
ThreadsPerChild 8
MaxMemObject 131072
DebugLevel 1
ModulesDir /usr/lib/x86_64-linux-gnu/c_icap
ServicesDir /usr/lib/x86_64-linux-gnu/c_icap
TemplateDir /usr/share/c_icap/templates/
LoadMagicFile /etc/c-icap/c-icap.magic
ServerLog {home}/server.log
AccessLog {home}/access.log
Service antivirus_module virus_scan.so
ServiceAlias avscan virus_scan?allow204=on&sizelimit={limit}{mode}
virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE
virus_scan.SendPercentData {percent}
virus_scan.StartSendPercentDataAfter {after}
virus_scan.MaxObjectSize {largest}
virus_scan.DefaultEngine clamd
Module common clamd_mod.so
clamd_mod.ClamdSocket {home}/clamd.socket
"""
CLAMD = """
LocalSocket {home}/clamd.socket
DatabaseDirectory {home}/signatures
LogFile {home}/clamd.log
Foreground yes
User root
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--percent", type=int, default=0, help="let so much through beforehand")
    parser.add_argument("--after", default="2M", help="once so much is in")
    parser.add_argument("--mode", default="", help="of the scanner: simple, vir, mixed, streamed")
    parser.add_argument("--limit", default="off", choices=["on", "off"])
    parser.add_argument("--largest", default="100M", help="pass on what is larger")
    args = parser.parse_args()
    home = gate.home("cicap")
    # One signature is enough for a scanner to be a scanner: an MD5, a size and a name.
    gate.write(gate.home("cicap/signatures") + "/lab.hdb", "44d88612fea8a8f36de82e1278abb02f:68:Lab.Test\n")
    clamd = shutil.which("clamd") or "/usr/sbin/clamd"
    subprocess.Popen([clamd, "--config-file", gate.write(home + "/clamd.conf", CLAMD.format(home=home))])
    time.sleep(2)
    text = SCANNER.format(home=home, **vars(args) | {"mode": args.mode and "&mode=" + args.mode})
    gate.become("c-icap", "-N", "-f", gate.write(home + "/c-icap.conf", text))


if __name__ == "__main__":
    main()
