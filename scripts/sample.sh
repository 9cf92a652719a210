#!/usr/bin/env bash
# Creates the sample project in .data/moorings, a git repository that runs may work in. Only once: changes made by runs are
# kept until `make clean-data`.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

SAMPLE=.data/moorings

[ -d "$SAMPLE" ] && exit
have git || fail "git is missing: install it and try again."
say "creating the sample project in $SAMPLE"
rm -rf "$SAMPLE.new"
mkdir -p .data
cp -R samples/project "$SAMPLE.new"

# The same author, date and settings everywhere, for the same commit and without a git identity.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=Runtrail GIT_AUTHOR_EMAIL=sample@localhost GIT_AUTHOR_DATE=2026-01-01T00:00:00Z
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
git -C "$SAMPLE.new" init -q -b main
git -C "$SAMPLE.new" add --all
git -C "$SAMPLE.new" commit -q -m "Moorings, as shipped with Runtrail"
mv "$SAMPLE.new" "$SAMPLE"
