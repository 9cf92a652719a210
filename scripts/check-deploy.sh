#!/usr/bin/env bash
# Checks the files of deploy/ without a container engine, a cluster or a running systemd. deploy/README.md says what that leaves
# unchecked. tests/it/deploy.rs runs the proxies in front of real servers.
#
#   scripts/check-deploy.sh [containers|kubernetes|systemd|proxies]…     all of them if none is named
set -euo pipefail
# shellcheck source=scripts/setup.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/setup.sh"

# The oldest Kubernetes that the manifests are for, and the newest that the linter knows.
KUBERNETES=(1.29 1.37)

check_containers() {
  # DL3008: Debian removes old versions of packages, so pinned ones stop installing.
  $DEPLOY/bin/hadolint --ignore DL3008 deploy/Containerfile
  $DEPLOY/bin/yamllint --strict --config-file tests/deploy/yamllint.yaml deploy
  $DEPLOY/bin/python tests/deploy/compose.py deploy/compose/compose.yaml
}

check_kubernetes() {
  local file version files=()
  for file in deploy/kubernetes/*.yaml; do
    case $file in
      # Of kinds that Kubernetes itself does not have.
      */kustomization.yaml | */autoscaling-keda.yaml) ;;
      *) files+=("$file") ;;
    esac
  done
  for version in "${KUBERNETES[@]}"; do
    $DEPLOY/bin/kubernetes-validate --quiet --strict --kubernetes-version "$version" "${files[@]}"
  done
  while read -r file; do
    [ -e "deploy/kubernetes/$file" ] || fail "deploy/kubernetes/kustomization.yaml names $file, which is not there."
  done < <(sed -n 's/^ *#* *- \([a-z-]*\.yaml\)$/\1/p' deploy/kubernetes/kustomization.yaml)
}

check_systemd() {
  local folder unit answer
  folder=$(mktemp -d)
  mkdir "$folder/runtrail.service.d"
  cp deploy/systemd/*.service "$folder"
  cp deploy/systemd/limits.conf "$folder/runtrail.service.d"
  # The program need not be installed here.
  sed -i 's|/usr/bin/runtrail|/bin/true|' "$folder"/*.service
  for unit in runtrail.service runtrail-worker@1.service; do
    # It exits with 0 for keys that it does not know, and mentions them.
    answer=$(systemd-analyze verify --man=no --recursive-errors=no "$folder/$unit" 2>&1) || true
    [ -z "$answer" ] || fail "deploy/systemd/$unit: $answer"
  done
  mkdir "$folder/etc"
  answer=$(systemd-sysusers --root="$folder" "$ROOT/deploy/systemd/sysusers.conf" 2>&1) || fail "deploy/systemd/sysusers.conf: $answer"
  grep -q '^runtrail:' "$folder/etc/passwd" || fail "deploy/systemd/sysusers.conf makes no user runtrail."
  rm -rf "$folder"
}

check_proxies() {
  use_proxies
  local folder
  folder=$(mktemp -d)
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=runs.example \
    -keyout "$folder/key" -out "$folder/certificate" 2>/dev/null
  sed "s|/etc/ssl/runs.example.pem|$folder/certificate|; s|/etc/ssl/private/runs.example.key|$folder/key|" \
    deploy/proxy/nginx.conf >"$folder/site.conf"
  {
    printf 'pid %s/pid; events {} http { access_log off; include %s/site.conf;\n' "$folder" "$folder"
    printf '%s_temp_path temp;\n' client_body proxy fastcgi uwsgi scgi
    printf '}\n'
  } >"$folder/nginx.conf"
  "$RUNTRAIL_TEST_NGINX" -t -q -p "$folder" -e "$folder/error.log" -c "$folder/nginx.conf"
  HOME=$folder XDG_DATA_HOME=$folder XDG_CONFIG_HOME=$folder "$RUNTRAIL_TEST_CADDY" validate \
    --adapter caddyfile --config deploy/proxy/Caddyfile >"$folder/log" 2>&1 ||
    fail "deploy/proxy/Caddyfile: $(tail -n 1 "$folder/log")"
  rm -rf "$folder"
}

setup_deploy
[ $# -gt 0 ] || set -- containers kubernetes systemd proxies
for part in "$@"; do
  case $part in
    containers | kubernetes | systemd | proxies) "check_$part" ;;
    *) fail "scripts/check-deploy.sh knows no part '$part': name containers, kubernetes, systemd or proxies." ;;
  esac
done
