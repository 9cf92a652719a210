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

# npm_packages FOLDER WHAT: installs the folder's packages unless they are there already: what its lock file says, or, without
# one, the exact versions of its package.json.
npm_packages() {
  local folder=$1 what=$2 list=$1/package-lock.json stamp=$1/node_modules/.runtrail-list log how=ci
  # A lock file names the packages of every platform, and npm ci fails where a registry serves only this platform's.
  [ -e "$list" ] || { list=$1/package.json && how="install --no-package-lock"; }
  # Written last, so that an interrupted installation is repeated.
  cmp -s "$list" "$stamp" && return
  setup_node
  say "$what: installing the npm packages of $folder"
  log=$(mktemp)
  # None of the packages needs its install script.
  # shellcheck disable=SC2086
  if ! npm $how --prefix "$folder" --ignore-scripts --no-audit --no-fund --loglevel=error >"$log" 2>&1; then
    head -n 15 "$log" >&2
    rm -f "$log"
    fail "npm could not install the packages of $folder (see its output above): run 'npm $how' there and try again."
  fi
  rm -f "$log"
  cp "$list" "$stamp"
}

# Tailwind and wasm-opt, which cargo-leptos looks for on PATH.
setup_style() { npm_packages style "Tailwind and wasm-opt"; }
use_style() { PATH="$ROOT/style/node_modules/.bin:$PATH"; }

# Playwright.
setup_end2end() { npm_packages end2end "Playwright"; }
