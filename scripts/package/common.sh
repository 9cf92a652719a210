# shellcheck shell=bash
# Set-up shared by the scripts that make packages. Sourced by them.
#
# A package of the same program at the same SOURCE_DATE_EPOCH has the same bytes.

# shellcheck source=scripts/common.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/../common.sh"

: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
umask 022

# package_version: that of Cargo.toml.
package_version() { sed -n '0,/^version = /s/^version = "\(.*\)"/\1/p' Cargo.toml; }

# glibc_needed PROGRAM: the lowest version of glibc that has all symbols that the program uses, such as 2.34.
glibc_needed() {
  have objdump || fail "objdump is missing: install binutils and try again."
  objdump --dynamic-syms "$1" | grep -o 'GLIBC_[0-9.]*' | sed 's/GLIBC_//' | sort -uV | tail -n 1
}

# machine_of PROGRAM: x86_64 or aarch64.
machine_of() {
  case $(objdump --file-headers "$1" | sed -n 's/^architecture: \([^,]*\).*/\1/p') in
    i386:x86-64) printf 'x86_64\n' ;;
    aarch64) printf 'aarch64\n' ;;
    *) fail "$1 is no program for x86_64 or aarch64." ;;
  esac
}
