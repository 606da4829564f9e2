#!/usr/bin/env bash
# Records captures/first-view*.pcapng and writes their truth; as root, about half a minute. LAB_OUT is another place to put them.
set -euo pipefail
# shellcheck source=captures/lab/lab.sh
. "$(dirname "$0")/lab.sh"
lab_seal "$@"
# shellcheck source=captures/lab/topology.sh
. "$LAB/topology.sh"
# shellcheck source=captures/lab/services/all.sh
. "$LAB/services/all.sh"
# shellcheck source=captures/lab/scenarios/first-view.sh
. "$LAB/scenarios/first-view.sh"
lab_topology
lab_services
scenario
lab_stop
truth first-view first-view-viewer
