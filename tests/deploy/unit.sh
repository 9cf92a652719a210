#!/bin/bash
# Executed as a service by the systemd that tests/deploy/boot-systemd.sh boots. Prints a line for each thing that was looked at.
exec 2>&1
systemd-sysusers
chown runtrail: /srv/runtrail

until_true() {
  local tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { echo "waited in vain: $*"; exit 1; }
    sleep 0.1
  done
}
call() { curl --silent --header "authorization: Bearer $(cat /var/lib/runtrail/token)" --header 'content-type: application/json' "$@"; }
field() { sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/"; }
start() { call --request POST --data "{\"pipeline\":\"$1\"}" http://127.0.0.1:3000/api/v1/runs | field id; }
status() { call "http://127.0.0.1:3000/api/v1/runs/$1" | field status; }
has_status() { [ "$(status "$1")" = "$2" ]; }
has_ended() { case $(status "$1") in pending | running) return 1 ;; esac; }
ready() { runtrail health; }

systemctl start runtrail
until_true ready
echo "folders: $(stat --format '%a %U' /var/lib/runtrail /var/lib/runtrail-home | sort --unique)"
for pipeline in tools sandboxed; do
  run=$(start $pipeline)
  until_true has_ended "$run"
  echo "$pipeline: $(status "$run")"
  call "http://127.0.0.1:3000/api/v1/runs/$run/log"
done

# A restart, while a command runs that has written down its process.
run=$(start long)
until_true test -s /srv/runtrail/long
systemctl restart runtrail
until_true ready
echo "restarted: $(systemctl is-active runtrail)"
if has_status "$run" running; then status=running; else status=ended; fi
if kill -0 "$(cat /srv/runtrail/long)"; then command=running; else command=ended; fi
echo "after the restart: run $status, command $command"

# With control groups.
systemctl stop runtrail
cp /etc/runtrail/limits.conf /etc/systemd/system/runtrail.service.d/
systemctl daemon-reload
systemctl start runtrail
until_true ready
rm /srv/runtrail/long
run=$(start long)
until_true test -s /srv/runtrail/long
systemctl restart runtrail
until_true ready
until_true has_ended "$run"
if kill -0 "$(cat /srv/runtrail/long)"; then command=running; else command=ended; fi
echo "with limits.conf: run $(status "$run"), command $command"
systemctl stop runtrail
echo "stopped: $(systemctl is-active runtrail)"
