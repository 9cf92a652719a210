#!/usr/bin/env bash
# Serves the release build as three instances on one PostgreSQL server, with the sample project: kill one and watch the others.
# PORT is the first of three ports. The server's data is in .data/cluster; Ctrl-C ends everything.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

FIRST=${PORT:-3000}

# Runs inside with_postgres.
instances() {
  local number
  createdb --maintenance-db="$RUNTRAIL_TEST_POSTGRES/postgres" runtrail
  mkdir -p .data/cluster
  [ -s .data/cluster/token ] || (umask 077 && head -c 18 /dev/urandom | base64 >.data/cluster/token)
  for number in 0 1 2; do
    target/release/runtrail serve \
      --addr "127.0.0.1:$((FIRST + number))" \
      --data-dir ".data/cluster/$number" \
      --database-url "$RUNTRAIL_TEST_POSTGRES/runtrail" \
      --token-file .data/cluster/token \
      --pipelines samples/pipelines \
      --projects .data/moorings \
      --checks-file samples/checks.toml &
    say "instance $number: process $!, http://127.0.0.1:$((FIRST + number))"
  done
  say "log in at any of them with the token: $(cat .data/cluster/token)"
  wait
}

setup_postgres
scripts/build.sh
scripts/sample.sh
trap : INT TERM
with_postgres instances
