#!/usr/bin/env bash
# Runs the tests: Rust's, then those of the pages in Chromium over the release build.
#
#   scripts/test.sh [rust|postgres|browser] [ARGUMENT…]     all if none is named; arguments go to the test runner
#
# The part postgres repeats on PostgreSQL the tests of everything that a database decides.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

test_rust() {
  setup rust
  setup_samples
  use_samples
  setup_postgres
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
    timed "Rust tests" with_postgres cargo nextest run --no-fail-fast --features ssr --run-ignored all "$@"
  else
    timed "Rust tests" with_postgres cargo test --no-fail-fast --features ssr "$@" -- --include-ignored
  fi
}

# Tests that depend on SQLite (its file, its locks, a full disk) are not among them.
POSTGRES_TESTS='test(/^(journal|lifecycle|machine|outbox|approval|attempts|cancel|queue)::/)
  or test(schedule_due_time_is_claimed_once) or test(schedule_run_now_returns)'
SQLITE_TESTS='test(attempts_of_older_databases) or test(queue_survives_restarts) or test(/^journal::triggers_/)'

test_postgres() {
  setup rust
  setup_samples
  use_samples
  setup_postgres
  export PROPTEST_RNG_SEED=${PROPTEST_RNG_SEED:-1}
  [ $# -gt 0 ] || set -- -E "($POSTGRES_TESTS) and not ($SQLITE_TESTS)"
  export RUNTRAIL_TEST_DATABASE=postgres
  timed "Rust tests on PostgreSQL" with_postgres cargo nextest run --no-fail-fast --features ssr --test it --run-ignored all "$@"
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
  rust | postgres | browser)
    part=$1
    shift
    "test_$part" "$@"
    ;;
  '')
    # Missing tools are reported before an hour of compiling.
    setup build test
    test_rust "$@"
    test_postgres "$@"
    test_browser "$@"
    ;;
  *) fail "scripts/test.sh knows no part '$1': name rust, postgres or browser." ;;
esac
