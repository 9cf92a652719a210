#!/usr/bin/env bash
# Looks the code over without running it; warnings are errors.
#
#   scripts/lint.sh [scripts|format|server|page]…     all of them if none is named
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

lint_scripts() {
  local file
  for file in .ci/run scripts/*.sh scripts/setup/*.sh; do
    bash -n "$file"
  done
  if have shellcheck; then
    # -x follows what a script sources. What is sourced runs under its caller's `set -e`, so cd needs no `|| exit` (SC2164).
    shellcheck -x -e SC2164 .ci/run scripts/*.sh scripts/setup/*.sh
  fi
}

lint_format() {
  setup lint
  cargo fmt --check
  cargo fmt --check --manifest-path benches/Cargo.toml
}

lint_server() {
  setup lint
  cargo clippy --features ssr --all-targets -- -D warnings
}

# In a shell of its own: the wasm toolchain may be another one.
lint_page() (
  setup lint wasm
  use_wasm
  cargo clippy --features hydrate --lib --target "$WASM" -- -D warnings
)

[ $# -gt 0 ] || set -- scripts format server page
for part in "$@"; do
  case $part in
    scripts | format | server | page) timed "lint: $part" "lint_$part" ;;
    *) fail "scripts/lint.sh knows no part '$part': name scripts, format, server or page." ;;
  esac
done
