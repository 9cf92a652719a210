#!/usr/bin/env bash
# Tests that take too long for every change: the randomized ones, for longer and with new seeds each night.
#
#   scripts/nightly.sh [chance|crash|handover|torn|faults|load|soak|fuzz|real|packs]…     all of them if none is named
#
# RUNTRAIL_NIGHT repeats the seeds of another night. A failing test prints its seed and how to repeat it.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

NIGHT=${RUNTRAIL_NIGHT:-$(date -u +%Y%m%d)}

# Show what tests print, how many rounds in which time, with cargo-nextest and with cargo test.
export NEXTEST_SUCCESS_OUTPUT=immediate RUST_TEST_NOCAPTURE=1
# One test at a time, since a long one needs the machine.
export NEXTEST_TEST_THREADS=1

# Properties with twenty times as many cases, and other interleavings, server lifecycles and moments of kills
night_chance() {
  local times=${RUNTRAIL_TIMES:-20} property
  local -x PROPTEST_RNG_SEED=$NIGHT SHUTTLE_RANDOM_SEED=$NIGHT
  PROPTEST_CASES=$((256 * times)) scripts/test.sh rust --lib
  for property in lifecycle:: machine:: reference_terminal:: sse::; do
    RUNTRAIL_TIMES=$times scripts/test.sh rust "$property"
  done
  RUNTRAIL_SEED=$NIGHT scripts/test.sh rust schedule_due_time_has_one_run
}

# kill -9 of the program at 200 random moments
night_crash() {
  RUNTRAIL_SEED=$NIGHT RUNTRAIL_ROUNDS=${RUNTRAIL_ROUNDS:-200} scripts/test.sh rust crash_at_any_moment
}

# kill -9 of the program at 200 random moments; its commands do not notice
night_handover() {
  RUNTRAIL_SEED=$NIGHT RUNTRAIL_ROUNDS=${RUNTRAIL_ROUNDS:-200} scripts/test.sh rust handover_at_any_moment
}

# 200 torn write-ahead logs, of 5 servers
night_torn() {
  local round
  for round in 1 2 3 4 5; do
    RUNTRAIL_SEED=$NIGHT$round RUNTRAIL_CUTS=${RUNTRAIL_CUTS:-40} scripts/test.sh rust torn::
  done
}

# 30,000 readers behind failing connections
night_faults() {
  RUNTRAIL_FIRST_SEED=${NIGHT}00000 RUNTRAIL_SCENARIOS=${RUNTRAIL_SCENARIOS:-30000} \
    scripts/test.sh rust faults_leave_every_reader
}

# A million lines
night_load() {
  RUNTRAIL_LINES=${RUNTRAIL_LINES:-1000000} scripts/test.sh rust load::
}

# 50,000 runs with readers that connect and disconnect: what remains in memory
night_soak() {
  RUNTRAIL_SOAK_RUNS=${RUNTRAIL_SOAK_RUNS:-50000} scripts/test.sh rust soak::
}

# Ten minutes of fuzzing the parser of server-sent events
night_fuzz() {
  scripts/fuzz.sh "${TIME:-600}"
}

# Both pipelines on every sample, compared with the ast-grep command
night_real() {
  RUNTRAIL_SAMPLES_EVERY=1 scripts/test.sh rust codemod::real::
}

# The rule packs on well-known projects: results of their tests before and after AutoFix (docs/autofix.md). RUNTRAIL_PROOF_ONLY
# selects projects of tests/proof/projects.toml. The table and all findings are written to target/proof.
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

[ $# -gt 0 ] || set -- chance crash handover torn faults load soak fuzz real packs
for part in "$@"; do
  case $part in
    chance | crash | handover | torn | faults | load | soak | fuzz | real | packs) timed "tonight: $part" "night_$part" ;;
    *) fail "scripts/nightly.sh knows no part '$part': name chance, crash, handover, torn, faults, load, soak, fuzz, real or packs." ;;
  esac
done
