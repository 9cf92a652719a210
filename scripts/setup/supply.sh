# shellcheck shell=bash
# Set-up: cargo deny, and the advisories that it checks the dependencies against. Sourced by scripts/setup.sh.

CARGO_DENY=0.20.2
# The folder that cargo deny derives from the address of the database.
ADVISORIES=target/advisories/advisory-db-3157b0e258782691

setup_supply() {
  find_tool cargo-deny "$CARGO_DENY" >/dev/null || build_tool cargo-deny cargo-deny "$CARGO_DENY" --locked
  fetch_advisories
}

# The newest advisories, or the snapshot in supply/ where there is no network.
fetch_advisories() {
  local deny
  deny=$(find_tool cargo-deny "$CARGO_DENY")/cargo-deny
  if [ -z "${RUNTRAIL_OFFLINE:-}" ] && timeout 60 "$deny" --log-level error fetch db 2>/dev/null; then
    return
  fi
  say "the advisory database cannot be fetched: using the snapshot of $(cat supply/advisories.date)"
  rm -rf "$ADVISORIES" && mkdir -p "$ADVISORIES"
  tar -xJf supply/advisories.tar.xz -C "$ADVISORIES"
  # cargo deny reads a git repository, and takes the commit's time for the database's age.
  local as=(-c user.name=snapshot -c user.email=snapshot@localhost -c commit.gpgsign=false -c core.hooksPath=/dev/null)
  git -C "$ADVISORIES" init --quiet
  git -C "$ADVISORIES" add --all
  GIT_COMMITTER_DATE="$(cat supply/advisories.date)T00:00:00Z" git -C "$ADVISORIES" "${as[@]}" commit --quiet --message snapshot
}
