#!/bin/sh
# What must hold before a change is merged.
set -eu
cd "$(dirname "$0")/.."
for file in src/*.js; do node --check "$file"; done
node --test
node src/cli.js plan data/requests.csv >/dev/null
echo "all good"
