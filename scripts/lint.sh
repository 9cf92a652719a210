#!/usr/bin/env bash
# Checks the code without running it; warnings are errors.
#
#   scripts/lint.sh [scripts|format|server|page|supply|deploy]…     all of them if none is named
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

lint_scripts() {
  local file
  local files=(.ci/run scripts/*.sh scripts/*/*.sh tests/deploy/*.sh deploy/debian/*)
  for file in "${files[@]}"; do
    bash -n "$file"
  done
  if have shellcheck; then
    # -x follows sourced scripts. They run under their caller's `set -e`, so cd needs no `|| exit` (SC2164).
    shellcheck -x -e SC2164 "${files[@]}"
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

# In a subshell, since the wasm toolchain may differ.
lint_page() (
  setup lint wasm
  use_wasm
  cargo clippy --features hydrate --lib --target "$WASM" -- -D warnings
)

# Advisories, licenses, sources and bans of the crates, and the advisories of the npm packages.
lint_supply() {
  setup lint
  setup_supply
  # Everything was fetched by set-up.
  "$(find_tool cargo-deny "$CARGO_DENY")/cargo-deny" --locked --offline --log-level error check --hide-inclusion-graph
  local folder
  for folder in end2end style tests/samples; do
    audit_npm "$folder"
  done
}

# audit_npm FOLDER: fails on advisories of high severity for the folder's packages. Reports a registry without advisories.
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
      fail "npm packages of $1 have known vulnerabilities: update them."
    fi
    say "npm packages of $1: not audited, the registry does not respond"
  fi
  rm -rf "$copy"
}

# Files of deploy/.
lint_deploy() {
  scripts/check-deploy.sh
}

[ $# -gt 0 ] || set -- scripts format deploy server page supply
for part in "$@"; do
  case $part in
    scripts | format | server | page | supply | deploy) timed "lint: $part" "lint_$part" ;;
    *) fail "scripts/lint.sh knows no part '$part': name scripts, format, server, page, supply or deploy." ;;
  esac
done
