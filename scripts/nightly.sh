#!/usr/bin/env bash
# What takes too long for every change: the tests with chance in them, for longer and with other seeds each night.
#
#   scripts/nightly.sh [chance|crash|torn|faults|load|soak|fuzz|packs]…     all of them if none is named
#
# RUNTRAIL_NIGHT takes another night's seeds again. A failing test names its seed and how to repeat it alone.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

NIGHT=${RUNTRAIL_NIGHT:-$(date -u +%Y%m%d)}

# What they print is the point: how many rounds, of what, in how long. By cargo-nextest and by cargo test.
export NEXTEST_SUCCESS_OUTPUT=immediate RUST_TEST_NOCAPTURE=1
# Room for one long test, where a runner has a limit of its own.
export NEXTEST_TEST_THREADS=1

# Properties in twenty times as many cases as a test tries, and other orders of steps, lives of servers and moments of kills
night_chance() {
  local times=${RUNTRAIL_TIMES:-20} property
  local -x PROPTEST_RNG_SEED=$NIGHT SHUTTLE_RANDOM_SEED=$NIGHT
  PROPTEST_CASES=$((256 * times)) scripts/test.sh rust --lib
  for property in lifecycle:: machine:: reference_terminal:: sse::; do
    RUNTRAIL_TIMES=$times scripts/test.sh rust "$property"
  done
  RUNTRAIL_SEED=$NIGHT scripts/test.sh rust a_due_time_has_one_run
}

# kill -9 of the program at 200 random moments
night_crash() {
  RUNTRAIL_SEED=$NIGHT RUNTRAIL_ROUNDS=${RUNTRAIL_ROUNDS:-200} scripts/test.sh rust a_server_killed_at_any_moment
}

# 200 torn write-ahead logs, of 5 servers
night_torn() {
  local round
  for round in 1 2 3 4 5; do
    RUNTRAIL_SEED=$NIGHT$round RUNTRAIL_CUTS=${RUNTRAIL_CUTS:-40} scripts/test.sh rust torn::
  done
}

# 30,000 readers behind connections that fail
night_faults() {
  RUNTRAIL_FIRST_SEED=${NIGHT}00000 RUNTRAIL_SCENARIOS=${RUNTRAIL_SCENARIOS:-30000} \
    scripts/test.sh rust every_reader_ends_with_the_journal
}

# A million lines
night_load() {
  RUNTRAIL_LINES=${RUNTRAIL_LINES:-1000000} scripts/test.sh rust load::
}

# 50,000 runs with readers that come and go: what is left of them in memory
night_soak() {
  RUNTRAIL_SOAK_RUNS=${RUNTRAIL_SOAK_RUNS:-50000} scripts/test.sh rust soak::
}

# Ten minutes of any bytes for those that read server-sent events
night_fuzz() {
  scripts/fuzz.sh "${TIME:-600}"
}

# The rule packs on well-known projects: what their tests say before and after AutoFix (docs/autofix.md). RUNTRAIL_PROOF_ONLY
# names some of tests/proof/projects.toml. The table and all findings are left in target/proof.
night_packs() {
  local failed=0
  scripts/setup.sh proof
  (
    # shellcheck source=scripts/setup.sh
    . scripts/setup.sh
    use_proof
    scripts/test.sh rust packs_break_no_tests_of_real_projects
  ) || failed=1
  cat target/proof/table.md
  return "$failed"
}

[ $# -gt 0 ] || set -- chance crash torn faults load soak fuzz packs
for part in "$@"; do
  case $part in
    chance | crash | torn | faults | load | soak | fuzz | packs) timed "tonight: $part" "night_$part" ;;
    *) fail "scripts/nightly.sh knows no part '$part': name chance, crash, torn, faults, load, soak, fuzz or packs." ;;
  esac
done
