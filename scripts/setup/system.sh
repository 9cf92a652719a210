# shellcheck shell=bash
# Set-up: small system programs that tests use. Sourced by scripts/setup.sh.

# faketime sets the clock of one program from a file (tests/it/clock.rs).
find_faketime() {
  local file
  for file in /usr/lib/*/faketime/libfaketimeMT.so.1; do
    if [ -e "$file" ]; then return; fi
  done
  return 1
}

setup_system() {
  find_faketime || apt_install "libfaketime" faketime
  # bubblewrap, for sandboxes. Their tests are skipped where it does not work.
  have bwrap || apt_install "bubblewrap" bubblewrap
  find_faketime || fail "faketime was installed, but /usr/lib/*/faketime/libfaketimeMT.so.1 is not there: install Debian's package faketime and try again."
}
