# shellcheck shell=bash
# Set-up: real code for tests of the built-in pipelines (crates that this project uses, packages of PyPI and npm),
# the ast-grep command, and a linter. Sourced by scripts/setup.sh.

SAMPLES=target/samples

setup_samples() {
  local list=tests/samples stamp=$SAMPLES/.runtrail-list
  npm_packages tests/samples "real code in JavaScript and TypeScript, and ast-grep"
  cat $list/*.json $list/*.txt | cmp -s - "$stamp" && return
  python3 -m pip --version >/dev/null 2>&1 || apt_install "pip" python3 python3-pip
  say "real code in Rust and Python"
  rm -rf $SAMPLES && mkdir -p $SAMPLES/wheels $SAMPLES/linters $SAMPLES/tree/{rust,python,node}
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --requirement $list/requirements.txt --dest $SAMPLES/wheels ||
    fail "pip could not download the packages of $list/requirements.txt: see its output above."
  # A linter, extracted from its package.
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --requirement $list/linters.txt --dest $SAMPLES/linters ||
    fail "pip could not download the packages of $list/linters.txt: see its output above."
  python3 -c '
import glob, os, sys, zipfile
for wheel in glob.glob(sys.argv[1] + "/*.whl"):
    with zipfile.ZipFile(wheel) as files:
        for name in files.namelist():
            if ".data/scripts/" in name:
                program = os.path.join(sys.argv[1], os.path.basename(name))
                open(program, "wb").write(files.read(name))
                os.chmod(program, 0o755)
' $SAMPLES/linters
  local wheel
  for wheel in "$SAMPLES"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$SAMPLES/tree/python"; done
  cp -r $list/node_modules/{lodash,rxjs} $SAMPLES/tree/node/
  # The sources that cargo has unpacked.
  cargo metadata --quiet --locked --format-version 1 --features ssr | python3 -c '
import json, pathlib, shutil, sys
wanted = set(open(sys.argv[1]).read().split())
for package in json.load(sys.stdin)["packages"]:
    if package["name"] in wanted and package["source"]:
        source = pathlib.Path(package["manifest_path"]).parent
        shutil.copytree(source, f"{sys.argv[2]}/{source.name}", symlinks=True)
' $list/crates.txt $SAMPLES/tree/rust
  cat $list/*.json $list/*.txt >"$stamp"
}

# For the tests: the paths of the code and of the command.
use_samples() {
  RUNTRAIL_SAMPLES=$ROOT/$SAMPLES/tree
  # The package's own link is made by an install script, which is not run.
  RUNTRAIL_AST_GREP=$(find "$ROOT/tests/samples/node_modules/@ast-grep" -path '*cli-*' -name ast-grep -type f | head -n 1)
  [ -n "$RUNTRAIL_AST_GREP" ] || fail "npm has no ast-grep for this machine: see tests/samples/package.json."
  RUNTRAIL_RUFF=$ROOT/$SAMPLES/linters/ruff
  export RUNTRAIL_SAMPLES RUNTRAIL_AST_GREP RUNTRAIL_RUFF
}
