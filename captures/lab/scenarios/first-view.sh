# shellcheck shell=bash
# A recorder starts, registers, and is watched twice through the relay: once in TLS, once in clear. Between the two
# it uploads a clip. The assumptions about the vendor's protocol are the defaults of actors/relay.py and
# actors/recorder.py; RELAY_ARGS, RECORDER_ARGS, REGION and LSF_BY change them.

# shellcheck source=captures/lab/actors/web.sh
. "$LAB/actors/web.sh"

LSF_BY=${LSF_BY:-both} # who asks lsf.u5fgb.com: recorder, viewer, both or none

scenario() {
  # Who looks a name up does so by the system's resolver, from ports that only it knows.
  printf '{"proto":"UDP","dest_ip":"%s","dest_port":53,"class":"dns","subclass":[]}\n' 192.168.1.1 "$DNS_IP" \
    >>"$LAB_LEDGER"
  capture sw uplink first-view
  capture viewer eth0 first-view-viewer
  sleep 0.5

  actor rec ntp.py ask 1.cctv.pool.ntp.org
  web rec licensing "" -A recorder/1.0 -d '{"serial":"00451"}' https://activateapi.gp4f.com/v1/activate
  web rec api "" -A recorder/1.0 -d '{"serial":"00451"}' https://restapi.gp4f.com/v1/recorders
  # shellcheck disable=SC2086 # switches are words
  actor rec recorder.py --relay "$RELAY" --kbps 500 250 ${RECORDER_ARGS:-} &
  actor rec stun.py ask stun.u5fgb.com
  case $LSF_BY in recorder | both) web rec lsf-control "" https://lsf.u5fgb.com/v1/addresses ;; esac

  web viewer login "" -A viewer/1.0 -d 'user=lab' https://ows.openeye.net/login
  web viewer api "" -A viewer/1.0 https://restapi.gp4f.com/v1/recorders/00451
  case $LSF_BY in viewer | both) web viewer lsf-control "" https://lsf.u5fgb.com/v1/addresses ;; esac
  actor viewer viewer.py --relay "$RELAY" --scheme https --seconds 9
  head -c 120000 /dev/urandom >"$RUN/clip"
  web rec s3 vendor -A recorder/1.0 -T "$RUN/clip" --limit-rate 60k "https://$S3_BUCKET/00451/clip-0001.mp4"
  actor viewer viewer.py --relay "$RELAY" --scheme http --camera 2 --seconds 8
  sleep 1
}
