#!/usr/bin/env bash
# Makes a Python package (wheel) of a program, so that `pip install FILE` gives the command runtrail. Prints its path.
#
#   scripts/package/wheel.sh PROGRAM FOLDER
#
# Laid out by the binary distribution format (packaging.python.org/specifications/binary-distribution-format) and packed by the
# library `wheel`. maturin would build the program again without its pages, which cargo-leptos puts in.
set -euo pipefail
# shellcheck source=scripts/package/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/common.sh"

[ $# -eq 2 ] || fail "name a program and a folder: scripts/package/wheel.sh target/release/runtrail target/dist"
program=$1 folder=$2
[ -x "$program" ] || fail "there is no program $program: build it with 'make build'."
python=${RUNTRAIL_DEPLOY_PYTHON:-target/deploy/bin/python}
"$python" -m wheel version >/dev/null 2>&1 || fail "the Python library 'wheel' is missing: run 'scripts/setup.sh test' and try again."

version=$(package_version)
glibc=$(glibc_needed "$program")
# Systems with an older glibc do not install it.
tag=py3-none-manylinux_${glibc//./_}_$(machine_of "$program")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
info=$root/runtrail-$version.dist-info

install -D -m 0755 "$program" "$root/runtrail-$version.data/scripts/runtrail"
install -D -m 0644 LICENSE "$info/licenses/LICENSE"
cat >"$info/WHEEL" <<END
Wheel-Version: 1.0
Generator: runtrail ($version)
Root-Is-Purelib: false
Tag: $tag
END
{
  cat <<END
Metadata-Version: 2.4
Name: runtrail
Version: $version
Summary: $(sed -n 's/^description = "\(.*\)"/\1/p' Cargo.toml)
License-Expression: MIT
License-File: LICENSE
Requires-Python: >=3.8
Description-Content-Type: text/markdown

END
  cat README.md
} >"$info/METADATA"

mkdir -p "$folder"
"$python" -m wheel pack --dest-dir "$folder" "$root" >/dev/null
printf '%s\n' "$folder/runtrail-$version-$tag.whl"
