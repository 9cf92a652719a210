#!/usr/bin/env bash
# Looks the code over without running it; warnings are errors.
#
#   scripts/lint.sh [scripts|format|server|page|supply]…     all of them if none is named
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

# Advisories, licenses, sources and bans of the crates, and the advisories of the npm packages.
lint_supply() {
  setup lint
  setup_supply
  # What there was to fetch is there.
  "$(find_tool cargo-deny "$CARGO_DENY")/cargo-deny" --locked --offline --log-level error check --hide-inclusion-graph
  local folder
  for folder in end2end style tests/samples; do
    audit_npm "$folder"
  done
}

# audit_npm FOLDER: asks the registry for advisories of high severity about what the folder installs. That a registry knows none is said.
audit_npm() {
  local copy answer
  copy=$(mktemp -d)
  cp "$1"/package*.json "$copy"
  if [ ! -e "$copy/package-lock.json" ]; then
    npm install --prefix "$copy" --package-lock-only --ignore-scripts --silent || true
  fi
  if ! answer=$(npm audit --prefix "$copy" --audit-level=high 2>&1); then
    if grep -q '^Severity: ' <<<"$answer"; then
      printf '%s\n' "$answer" >&2
      fail "npm packages of $1 have known faults: update them."
    fi
    say "npm packages of $1: not audited, the registry does not answer"
  fi
  rm -rf "$copy"
}

[ $# -gt 0 ] || set -- scripts format server page supply
for part in "$@"; do
  case $part in
    scripts | format | server | page | supply) timed "lint: $part" "lint_$part" ;;
    *) fail "scripts/lint.sh knows no part '$part': name scripts, format, server, page or supply." ;;
  esac
done
