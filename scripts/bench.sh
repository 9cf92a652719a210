#!/usr/bin/env bash
# Measures the release build beside peers and limits, and writes benches/RESULTS.md.
#
#   scripts/bench.sh [fanout|append|attach|memory|stop|search]…     all of them if none is named
#
# Scenarios that are not run keep their figures of the last time. Peers that cannot be installed are missing from the tables.
# BENCH_RUNTRAIL measures another program than the release build; BENCH_NOTE adds a sentence to the results.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

BENCH=target/bench
SCENARIOS=(fanout append attach memory stop search)

# Peers, each of one exact version.
DURABLE_STREAMS=0.1.5

peers() {
  mkdir -p $BENCH/peers
  cp benches/peers/* $BENCH/peers/
  [ -x $BENCH/peers/bin/durable-streams-server ] ||
    timed "building durable-streams $DURABLE_STREAMS" cargo install --quiet --locked --root $BENCH/peers \
      --target-dir $BENCH/peers/build "durable-streams@$DURABLE_STREAMS" ||
    say "durable-streams could not be built and is left out"
  (npm_packages $BENCH/peers "better-sse") || say "better-sse could not be installed and is left out"
}

[ $# -gt 0 ] || set -- "${SCENARIOS[@]}"
if [ -z "${BENCH_RUNTRAIL:-}" ]; then
  scripts/build.sh
  BENCH_RUNTRAIL=$ROOT/target/release/runtrail
fi
setup rust
setup_samples
use_samples
peers
mkdir -p $BENCH/results $BENCH/data
cargo build --quiet --release --locked --manifest-path benches/Cargo.toml --target-dir $BENCH/build
export BENCH_RUNTRAIL BENCH_PEERS="$ROOT/$BENCH/peers" BENCH_DATA="$ROOT/$BENCH/data"
$BENCH/build/release/runtrail-bench $BENCH/results machine "$@"

{
  echo "# Results of \`make bench\`"
  echo
  cat $BENCH/results/machine.md
  [ -z "${BENCH_NOTE:-}" ] || printf '%s\n\n' "$BENCH_NOTE"
  for scenario in "${SCENARIOS[@]}"; do
    [ -s "$BENCH/results/$scenario.md" ] && cat "$BENCH/results/$scenario.md"
  done
} >$BENCH/results/RESULTS.md
mv $BENCH/results/RESULTS.md benches/RESULTS.md
say "wrote benches/RESULTS.md"
