# shellcheck shell=bash
# Set-up: well-known projects that carry their tests, for scripts/nightly.sh packs: sdists of PyPI, crates, packages of npm and Go
# sources of Debian, in the versions of tests/proof, with the checksums of the registries. Sourced by scripts/setup.sh.

PROOF=target/proof

setup_proof() {
  local list=tests/proof stamp=$PROOF/.runtrail-list
  local packages
  packages=$(grep -v '^#' $list/go/packages.txt)
  # shellcheck disable=SC2086
  { have go && dpkg --status $packages >/dev/null 2>&1; } || apt_install "Go and Go sources" golang-go $packages
  npm_packages $list/node "packages of npm with their tests"
  cat $list/*/*.txt $list/rust/Cargo.lock $list/node/package-lock.json | cmp -s - "$stamp" && return
  say "projects with their tests"
  rm -rf $PROOF && mkdir -p $PROOF/{sdists,python,rust,node,go}
  proof_python $list/python
  proof_rust $list/rust
  local name
  for name in $(sed -n 's/^source = "\(node\|go\)\//\1\//p' $list/projects.toml | tr -d '"'); do
    case $name in
      node/*) cp -r "$list/node/node_modules/${name#node/}" "$PROOF/node/" ;;
      go/*)
        mkdir -p "$PROOF/$name"
        cp -r "/usr/share/gocode/src/${name#go/}/." "$PROOF/$name/"
        ;;
    esac
  done
  cat $list/*/*.txt $list/rust/Cargo.lock $list/node/package-lock.json >"$stamp"
}

# proof_python LISTS: sdists, and a Python with what their tests need.
proof_python() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install "Python's venv" python3 python3-venv
  python3 -m venv $PROOF/venv || fail "python3 could not make a virtual environment in $PROOF/venv: see its output above."
  local pip=($PROOF/venv/bin/python -m pip --quiet --disable-pip-version-check)
  "${pip[@]}" install --requirement "$1/tools.txt" ||
    fail "pip could not install the packages of $1/tools.txt: see its output above."
  "${pip[@]}" download --no-deps --no-binary :all: --require-hashes --requirement "$1/sources.txt" --dest $PROOF/sdists ||
    fail "pip could not download the sdists of $1/sources.txt: see its output above."
  local sdist
  for sdist in "$PROOF"/sdists/*.tar.gz; do tar -xzf "$sdist" -C $PROOF/python; done
}

# proof_rust LIST: the sources that cargo has unpacked.
proof_rust() {
  cargo fetch --quiet --locked --manifest-path "$1/Cargo.toml" || fail "cargo could not fetch the crates of $1: see its output above."
  cargo metadata --quiet --locked --format-version 1 --manifest-path "$1/Cargo.toml" | python3 -c '
import json, pathlib, shutil, sys
data = json.load(sys.stdin)
packages = {package["id"]: package for package in data["packages"]}
root = next(node for node in data["resolve"]["nodes"] if node["id"] == data["resolve"]["root"])
for wanted in root["dependencies"]:
    source = pathlib.Path(packages[wanted]["manifest_path"]).parent
    shutil.copytree(source, f"{sys.argv[1]}/{source.name}", symlinks=True)
' $PROOF/rust
}

# For the tests: the paths of the projects and of their tools.
use_proof() {
  export RUNTRAIL_PROOF=$ROOT/$PROOF
  export PYTHONDONTWRITEBYTECODE=1
  export PROOF_PYTHON=$RUNTRAIL_PROOF/venv/bin/python PROOF_TARGET=$RUNTRAIL_PROOF/build
  export NODE_PATH=$ROOT/tests/proof/node/node_modules PROOF_GO=$ROOT/tests/proof/go/test.sh
}
