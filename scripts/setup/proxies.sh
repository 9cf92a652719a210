# shellcheck shell=bash
# Set-up: nginx and caddy for the tests that serve below a path of a host. Sourced by scripts/setup.sh.
#
# Debian's packages, unpacked instead of installed, so that nothing is started and the machine is unchanged.

PROXIES=$TOOLS/proxies

find_proxy() {
  if have "$1"; then
    command -v "$1"
  elif [ -x "$PROXIES/$2/$1" ]; then
    printf '%s\n' "$PROXIES/$2/$1"
  else
    return 1
  fi
}

setup_proxies() {
  if find_proxy nginx usr/sbin >/dev/null && find_proxy caddy usr/bin >/dev/null; then
    return
  fi
  have apt-get && have dpkg || fail "nginx or caddy is missing, and this is not Debian: put both on PATH and try again."
  say "nginx or caddy is missing: unpacking Debian's packages into $PROXIES"
  local fetched
  fetched=$(mktemp -d)
  (
    cd "$fetched"
    apt-get download -qq nginx caddy
    mkdir -p "$PROXIES"
    for package in *.deb; do dpkg -x "$package" "$PROXIES"; done
  ) >&2 || fail "apt could not fetch nginx and caddy (see its output above): put both on PATH and try again."
  rm -rf "$fetched"
}

# use_proxies: sets RUNTRAIL_TEST_NGINX and RUNTRAIL_TEST_CADDY.
use_proxies() {
  RUNTRAIL_TEST_NGINX=$(find_proxy nginx usr/sbin)
  RUNTRAIL_TEST_CADDY=$(find_proxy caddy usr/bin)
  export RUNTRAIL_TEST_NGINX RUNTRAIL_TEST_CADDY
}
