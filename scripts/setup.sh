#!/usr/bin/env bash
# Installs what the project needs and this machine lacks. Prints what it does, and nothing if everything is installed.
#
#   scripts/setup.sh [rust|lint|wasm|build|test|fuzz|proof]…     all but the last two if none is named
#
# Other scripts source it and call setup themselves, then use_… in the process that needs the tools on its PATH.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"
. scripts/setup/rust.sh
. scripts/setup/cargo-tools.sh
. scripts/setup/npm.sh
. scripts/setup/postgres.sh
. scripts/setup/proof.sh
. scripts/setup/chromium.sh
. scripts/setup/deploy.sh
. scripts/setup/samples.sh
. scripts/setup/supply.sh
. scripts/setup/proxies.sh
. scripts/setup/system.sh
. scripts/setup/terminal.sh

setup() {
  local part
  for part in "$@"; do
    case $part in
      rust) setup_rust ;;
      lint)
        setup_rust
        setup_lint
        ;;
      wasm)
        setup_rust
        setup_wasm
        ;;
      build)
        # The fast parts first: a missing npm is reported before tools are built for ten minutes.
        setup_node
        setup_rust
        setup_wasm
        setup_style
        setup_cargo_tools
        ;;
      test)
        setup_node
        setup_rust
        setup_end2end
        setup_chromium
        setup_samples
        setup_postgres
        setup_proxies
        setup_deploy
        setup_system
        setup_terminal
        ;;
      fuzz) setup_fuzz ;;
      proof) setup_proof ;;
      *) fail "scripts/setup.sh knows no part '$part': name rust, lint, wasm, build, test, fuzz or proof." ;;
    esac
  done
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  [ $# -gt 0 ] || set -- lint build test
  setup "$@"
fi
