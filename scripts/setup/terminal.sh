# shellcheck shell=bash
# Set-up: pyte, a terminal emulator in Python that log lines are compared with. Sourced by scripts/setup.sh.

TERMINAL=target/terminal

setup_terminal() {
  local list=tests/terminal/requirements.txt
  cmp -s $list $TERMINAL/.runtrail-list && return
  # Debian packages the two separately.
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install "Python's venv" python3 python3-venv
  say "installing pyte, a terminal emulator to compare with"
  rm -rf $TERMINAL
  python3 -m venv $TERMINAL || fail "python3 could not make a virtual environment in $TERMINAL: see its output above."
  $TERMINAL/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $list ||
    fail "pip could not install the packages of $list: see its output above."
  cp $list $TERMINAL/.runtrail-list
}

# For the tests: the Python with pyte.
use_terminal() {
  export RUNTRAIL_PYTE=$ROOT/$TERMINAL/bin/python
}
