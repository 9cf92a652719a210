# shellcheck shell=bash
# Set-up: Node.js packages, exactly those of the lock files. Sourced by scripts/setup.sh.

NODE_NEEDED=20

setup_node() {
  local found
  have node || fail "node is missing: install Node.js $NODE_NEEDED or later and try again."
  have npm || fail "npm is missing: install it beside Node.js and try again."
  found=$(node --version)
  at_least "${found#v}" "$NODE_NEEDED" || fail "Node.js $NODE_NEEDED or later is needed, and this is $found: install a later one and try again."
}

# npm_ci FOLDER WHAT: installs the folder's packages unless they are there already.
npm_ci() {
  local folder=$1 what=$2 stamp=$1/node_modules/.runtrail-lock log
  # Written last, so that a half-finished installation is done again.
  cmp -s "$folder/package-lock.json" "$stamp" && return
  setup_node
  say "$what: installing the npm packages of $folder"
  log=$(mktemp)
  # None of the packages needs its install script: what they run is inside them.
  if ! npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    fail "npm could not install the packages of $folder (its last words are above): run 'npm ci' there and try again."
  fi
  rm -f "$log"
  cp "$folder/package-lock.json" "$stamp"
}

# The Tailwind program and wasm-opt; cargo-leptos takes what it finds on PATH.
setup_style() { npm_ci style "Tailwind and wasm-opt"; }
use_style() { PATH="$ROOT/style/node_modules/.bin:$PATH"; }

# What drives the browser.
setup_end2end() { npm_ci end2end "Playwright"; }
