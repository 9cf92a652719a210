#!/bin/sh
# Keeps the last fourteen copies of the harbour's data.
set -eu
cd "$(dirname "$0")/.."
target=${1:?usage: scripts/backup.sh FOLDER}
mkdir -p "$target"
tar -cf "$target/moorings-$(date -u +%Y%m%dT%H%M%SZ).tar" data
ls -1 "$target"/moorings-*.tar | sort -r | tail -n +15 | while read -r old; do rm -f "$old"; done
