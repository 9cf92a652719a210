#!/usr/bin/env bash
# Fuzzes the writer and the parser of server-sent events against the properties in fuzz/src/sse.rs.
#
#   scripts/fuzz.sh [SECONDS] [ARGUMENT…]     60 if none are named; arguments go to libFuzzer
#
# Needs a C++ compiler and cargo-fuzz, which it installs if missing. Stable Rust is enough: without unsafe code no sanitizer is
# needed, and so no nightly toolchain.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

seconds=60
if [ $# -gt 0 ]; then
  seconds=$1
  shift
fi
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "'$seconds' is not a number of seconds."
setup rust fuzz

# New inputs go to the first folder; the seeds stay unchanged. A failing input is saved in fuzz/artifacts.
corpus=$ROOT/target/fuzz-corpus/sse
mkdir -p "$corpus"
export CARGO_TARGET_DIR="$ROOT/target/fuzz" RUSTC_BOOTSTRAP=1
PATH="$(find_tool cargo-fuzz "$CARGO_FUZZ"):$PATH"
timed "fuzzing for $seconds s" \
  cargo fuzz run --sanitizer none sse "$corpus" "$ROOT/fuzz/seeds/sse" -- -max_total_time="$seconds" -max_len=4096 "$@"
