# shellcheck shell=bash
# Paths and messages shared by all scripts. Sourced by them.

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd -- "$ROOT"

# Tools built by set-up, in one folder for all clones of this user, so that a second clone does not build them again.
# shellcheck disable=SC2034
TOOLS=${RUNTRAIL_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/runtrail/tools}
case ":$PATH:" in
  *":${CARGO_HOME:-$HOME/.cargo}/bin:"*) ;;
  *) PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin" ;;
esac

# Where cargo builds, whatever this user's own settings are. The scripts expect it there.
export CARGO_TARGET_DIR="$ROOT/target"

say() { printf '· %s\n' "$*" >&2; }

# Fails with one sentence: what is missing, and what to do.
fail() {
  printf 'runtrail: %s\n' "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# at_least FOUND NEEDED: whether the first version is at least the second.
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# timed WHAT COMMAND…: prints how long the command took.
timed() {
  local what=$1 began=$SECONDS
  shift
  say "$what"
  "$@"
  say "$what: $((SECONDS - began)) s"
}

# apt_install WHAT PACKAGE…: installs Debian packages as root or with sudo.
apt_install() {
  local what=$1 as_root=()
  shift
  have apt-get || fail "$what is missing, and there is no apt-get here: install it and try again."
  if [ "$(id -u)" -ne 0 ]; then
    have sudo || fail "$what is missing: as root, run 'apt-get install -y --no-install-recommends $*' and try again."
    as_root=(sudo)
  fi
  say "$what is missing: installing $* with apt"
  {
    "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update -qq &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-remove --no-install-recommends "$@"
  } >&2 || fail "apt could not install $what (see its output above): run 'apt-get install $*' by hand and try again."
}
