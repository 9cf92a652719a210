#!/usr/bin/env bash
# Serves the release build with the sample project and the sample pipelines. ADDR sets the address; arguments are passed to
# the server.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

scripts/build.sh
scripts/sample.sh

exec target/release/runtrail serve \
  --addr "${ADDR:-127.0.0.1:3000}" \
  --data-dir .data/runtrail \
  --pipelines samples/pipelines \
  --projects .data/moorings \
  --checks-file samples/checks.toml \
  "$@"
