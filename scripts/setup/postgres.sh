# shellcheck shell=bash
# Set-up: a PostgreSQL server for the tests, real, private and temporary. Sourced by scripts/setup.sh.

# The folder of PostgreSQL's programs; the newest version if there are several.
find_postgres() {
  local folder
  if have initdb && have pg_ctl && have psql; then
    dirname -- "$(readlink -f "$(command -v initdb)")"
    return
  fi
  for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV); do
    if [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ]; then
      echo "$folder"
      return
    fi
  done
  return 1
}

setup_postgres() {
  find_postgres >/dev/null && have psql && return
  apt_install "PostgreSQL" postgresql postgresql-client
  find_postgres >/dev/null || fail "PostgreSQL is missing: install the packages postgresql and postgresql-client."
}

# PostgreSQL refuses to run as root.
as_postgres_user() {
  if [ "$(id -u)" = 0 ]; then
    local user=nobody
    ! id postgres >/dev/null 2>&1 || user=postgres
    runuser -u "$user" -- "$@"
  else
    "$@"
  fi
}

# Starts a server in a folder of its own, on a free port of 127.0.0.1, and runs a command with its URL in
# RUNTRAIL_TEST_POSTGRES. The server ends with the command, however that ends: its trap is that of a subshell.
with_postgres() (
  local programs folder port
  programs=$(find_postgres) || fail "PostgreSQL is missing: scripts/setup.sh test installs it."
  folder=$(mktemp -d "${TMPDIR:-/tmp}/runtrail-postgres.XXXXXX")
  [ "$(id -u)" != 0 ] || chown "$(as_postgres_user id -un)" "$folder"
  # shellcheck disable=SC2064 # the folder of this call
  trap "as_postgres_user '$programs/pg_ctl' -D '$folder/data' -m immediate stop >/dev/null 2>&1; rm -rf '$folder'" EXIT
  (cd "$folder" && as_postgres_user "$programs/initdb" -D "$folder/data" -U runtrail -A trust -E UTF8 --locale=C \
    --no-sync >"$folder.log" 2>&1) || fail "initdb failed: $(cat "$folder.log")"
  rm -f "$folder.log"
  port=$(free_port)
  (cd "$folder" && as_postgres_user "$programs/pg_ctl" -D "$folder/data" -w -l "$folder/log" \
    -o "-k $folder -p $port -h 127.0.0.1 -c max_connections=400 -c fsync=on" start >/dev/null) ||
    fail "PostgreSQL does not start: $(cat "$folder/log")"
  RUNTRAIL_TEST_POSTGRES="postgres://runtrail@127.0.0.1:$port" "$@"
)

# A port that nothing listens on.
free_port() {
  local port
  while true; do
    # Below those that systems give to connections.
    port=$((10000 + RANDOM % 20000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}
