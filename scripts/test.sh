#!/usr/bin/env bash
# Runs the tests: Rust's, then those of the pages in Chromium over the release build.
#
#   scripts/test.sh [rust|browser] [ARGUMENT…]     both if none is named; arguments go to the test runner
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

test_rust() {
  setup rust
  setup_samples
  use_samples
  setup_proxies
  use_proxies
  setup_deploy
  use_deploy
  setup_terminal
  use_terminal
  # The same cases each time, so that a failure belongs to the change; scripts/nightly.sh tries new ones.
  export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-1}
  # --run-ignored: tests that need the samples are ignored by a plain cargo test.
  if cargo nextest --version >/dev/null 2>&1; then
    timed "Rust tests" cargo nextest run --no-fail-fast --features ssr --run-ignored all "$@"
  else
    timed "Rust tests" cargo test --no-fail-fast --features ssr "$@" -- --include-ignored
  fi
}

test_browser() {
  setup test
  scripts/build.sh
  use_chromium
  use_proxies
  export RUNTRAIL_BIN="$ROOT/target/release/runtrail"
  cd end2end
  timed "types of the browser tests" npm run --silent typecheck
  timed "browser tests" npx --no-install playwright test "$@"
}

case ${1:-} in
  rust | browser)
    part=$1
    shift
    "test_$part" "$@"
    ;;
  '')
    # Missing tools are reported before an hour of compiling.
    setup build test
    test_rust "$@"
    test_browser "$@"
    ;;
  *) fail "scripts/test.sh knows no part '$1': name rust or browser." ;;
esac
