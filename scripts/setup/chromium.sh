# shellcheck shell=bash
# Set-up: a Chromium for the browser tests. Sourced by scripts/setup.sh.

find_chromium() {
  local name
  for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$name" ] && have "$name"; then
      command -v "$name"
      return
    fi
  done
  return 1
}

setup_chromium() {
  find_chromium >/dev/null || apt_install Chromium chromium
  find_chromium >/dev/null || fail "Chromium was installed, but is not on PATH: set CHROMIUM to the program and try again."
}

# use_chromium: sets CHROMIUM.
use_chromium() {
  CHROMIUM=$(find_chromium)
  export CHROMIUM
}
