#!/usr/bin/env bash
# Builds target/release/runtrail, one file that contains the pages' files and the migrations.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

PROGRAM=target/release/runtrail
# Its time is the start of the last good build, so that files edited during that build count as newer.
STAMP=$PROGRAM.built

# Folders count too: a deleted file changes its folder's time.
up_to_date() {
  [ -x "$PROGRAM" ] && [ -f "$STAMP" ] && [ -f target/site/pkg/runtrail.wasm ] &&
    [ -z "$(find src style public migrations build.rs Cargo.toml Cargo.lock scripts \
      -path style/node_modules -prune -o -newer "$STAMP" -print -quit)" ]
}

if up_to_date; then
  say "$PROGRAM is up to date"
  exit
fi

setup build
use_wasm
use_cargo_tools
use_style

mkdir -p target/release
touch "$STAMP.new"
# The page first, then the program: built together they run in parallel, and the program could embed an older page.
timed "building the page" "$LEPTOS" leptos build --release --frontend-only
timed "building the program" "$LEPTOS" leptos build --release --server-only
[ -x "$PROGRAM" ] || fail "the build left no $PROGRAM: run 'make build' again, and report it if that does not help."
mv "$STAMP.new" "$STAMP"
say "built $PROGRAM ($(du -h "$PROGRAM" | cut -f 1))"
