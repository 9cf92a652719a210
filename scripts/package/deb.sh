#!/usr/bin/env bash
# Makes a Debian package of a program, with the units and the user of its services. Prints the package's path.
#
#   scripts/package/deb.sh PROGRAM FOLDER
#
# RUNTRAIL_XZ_LEVEL sets how hard it is compressed.
#
# By dpkg-deb, which every Debian has. cargo-deb does the same from Cargo.toml, but takes several minutes to build, and the
# package has one program and a dozen files.
set -euo pipefail
# shellcheck source=scripts/package/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

[ $# -eq 2 ] || fail "name a program and a folder: scripts/package/deb.sh target/release/runtrail target/dist"
program=$1 folder=$2
[ -x "$program" ] || fail "there is no program $program: build it with 'make build'."
have dpkg-deb || fail "dpkg-deb is missing: install dpkg and try again."

version=$(package_version)
case $(machine_of "$program") in
  x86_64) architecture=amd64 ;;
  aarch64) architecture=arm64 ;;
esac
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 0755 "$root"
doc=$root/usr/share/doc/runtrail

install -D -m 0755 "$program" "$root/usr/bin/runtrail"
for unit in runtrail.service runtrail-worker@.service; do
  install -D -m 0644 "deploy/systemd/$unit" "$root/usr/lib/systemd/system/$unit"
done
install -D -m 0644 deploy/systemd/sysusers.conf "$root/usr/lib/sysusers.d/runtrail.conf"
install -D -m 0640 deploy/systemd/runtrail.env "$root/etc/runtrail/runtrail.env"
install -d -m 0755 "$root/etc/runtrail/pipelines"
install -D -m 0644 LICENSE "$doc/copyright"
install -D -m 0644 -t "$doc" README.md docs/*.md
install -D -m 0644 -t "$doc/examples" deploy/systemd/limits.conf deploy/proxy/nginx.conf deploy/proxy/Caddyfile

install -d "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<END
Package: runtrail
Version: $version
Architecture: $architecture
Maintainer: Runtrail's maintainers <runtrail@localhost>
Installed-Size: $(du -sk --apparent-size --exclude DEBIAN "$root" | cut -f 1)
Depends: libc6 (>= $(glibc_needed "$program")), libgcc-s1
Recommends: git, bubblewrap, ca-certificates
Suggests: postgresql, caddy | nginx
Section: devel
Priority: optional
Description: dashboard for long, multi-phase runs
 Start a run in the browser or over HTTP, watch its log live from as many tabs
 as you like, leave, come back, approve, cancel, re-run. Runs are pipelines of
 commands, written as TOML files.
 .
 The service is not started by itself: systemctl enable --now runtrail
END
printf '/etc/runtrail/runtrail.env\n' >"$root/DEBIAN/conffiles"
install -m 0755 -t "$root/DEBIAN" deploy/debian/postinst deploy/debian/prerm deploy/debian/postrm
(cd "$root" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)

find "$root" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
mkdir -p "$folder"
package=$folder/runtrail_${version}_$architecture.deb
# One thread: how several divide the work is not fixed.
dpkg-deb --root-owner-group -Zxz "-z${RUNTRAIL_XZ_LEVEL:-6}" --threads-max=1 --build "$root" "$package" >/dev/null
printf '%s\n' "$package"
