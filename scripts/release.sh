#!/usr/bin/env bash
# Creates a release in target/dist: the program, its Debian and Python packages, its SBOM, checksums and a signature.
#
#   RELEASE_KEY=FILE scripts/release.sh     FILE is a minisign secret key ('minisign -G' creates one); without it nothing is signed
#
# To verify a release: 'minisign -Vm SHA256SUMS -p runtrail.pub' and 'sha256sum --check SHA256SUMS'.
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

CARGO_CYCLONEDX=0.5.9
DIST=target/dist

[ -z "$(git status --porcelain)" ] || fail "the work tree has changes: commit them, so that the release matches its commit."
[ -z "${RELEASE_KEY:-}" ] || [ -r "$RELEASE_KEY" ] || fail "the key $RELEASE_KEY cannot be read: give RELEASE_KEY a minisign secret key."

scripts/build.sh
setup lint
setup_supply
setup_deploy
[ -z "${RELEASE_KEY:-}" ] || have minisign || apt_install "minisign" minisign
find_tool cargo-cyclonedx "$CARGO_CYCLONEDX" >/dev/null || build_tool cargo-cyclonedx cargo-cyclonedx "$CARGO_CYCLONEDX" --locked

version=$(cargo metadata --locked --no-deps --format-version 1 | sed 's/.*"name":"runtrail","version":"\([^"]*\)".*/\1/')
host=$(rustc -vV | sed -n 's/^host: //p')
name=runtrail-$version-$host
# The time of the commit, so that the same commit gives the same SBOM and packages.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

rm -rf "$DIST" && mkdir -p "$DIST"
cp target/release/runtrail "$DIST/$name"
"$(find_tool cargo-cyclonedx "$CARGO_CYCLONEDX")/cargo-cyclonedx" cyclonedx --format json --features ssr --target "$host" \
  --spec-version 1.5 --override-filename "$name.cdx" --quiet
mv "$name.cdx.json" "$DIST/"
cp LICENSE "$DIST/"
deb=$(scripts/package/deb.sh "$DIST/$name" "$DIST")
wheel=$(scripts/package/wheel.sh "$DIST/$name" "$DIST")
(cd "$DIST" && sha256sum -- "$name" "$name.cdx.json" "${deb##*/}" "${wheel##*/}" LICENSE >SHA256SUMS)
if [ -n "${RELEASE_KEY:-}" ]; then
  minisign -S -s "$RELEASE_KEY" -m "$DIST/SHA256SUMS" -t "runtrail $version, commit $(git rev-parse HEAD)"
else
  say "not signed: name a minisign secret key in RELEASE_KEY"
fi
say "the release is in $DIST"
