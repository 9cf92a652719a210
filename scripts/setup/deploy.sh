# shellcheck shell=bash
# Set-up: linters for deploy/, and what packs the Python package of a release. Sourced by scripts/setup.sh.

DEPLOY=target/deploy

setup_deploy() {
  local list=tests/deploy/requirements.txt
  have systemd-analyze || apt_install "systemd-analyze" systemd
  # For the test that boots systemd.
  { have curl && have ip; } || apt_install "curl and ip" curl iproute2
  have openssl || apt_install "openssl" openssl
  have dpkg-deb || fail "dpkg-deb is missing, and this is not Debian: install dpkg and try again."
  setup_proxies
  cmp -s $list $DEPLOY/.runtrail-list && return
  # Debian packages the two separately.
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install "Python's venv" python3 python3-venv
  say "installing linters for deploy/"
  rm -rf $DEPLOY
  python3 -m venv $DEPLOY || fail "python3 could not make a virtual environment in $DEPLOY: see its output above."
  $DEPLOY/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement $list ||
    fail "pip could not install the packages of $list: see its output above."
  cp $list $DEPLOY/.runtrail-list
}

# For the tests: the Python with `wheel`.
use_deploy() {
  export RUNTRAIL_DEPLOY_PYTHON=$ROOT/$DEPLOY/bin/python
}
