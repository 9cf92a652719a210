#!/usr/bin/env bash
# Boots a real systemd in namespaces of its own, with the units of deploy/systemd and a program, executes a script in it as a service,
# and prints what that prints. Needs root. The machine's files are seen through an overlay and do not change.
#
#   tests/deploy/boot-systemd.sh PROGRAM PIPELINES SCRIPT
set -euo pipefail
program=$(realpath "$1") pipelines=$(realpath "$2") script=$(realpath "$3")
deploy=$(realpath "$(dirname -- "${BASH_SOURCE[0]}")/../../deploy")
work=$(mktemp -d)
export program pipelines script deploy work

# A control group of its own, so that systemd takes it for the root. With version 1 and 2 side by side, or version 2 alone.
groups=()
for folder in /sys/fs/cgroup /sys/fs/cgroup/{systemd,unified,pids,memory}; do
  if [ -e "$folder/cgroup.procs" ]; then
    mkdir "$folder/runtrail-test-$$"
    groups+=("$folder/runtrail-test-$$")
  fi
done
# What is left of systemd's own groups goes with them.
trap 'find "${groups[@]}" -depth -type d -exec rmdir {} + 2>/dev/null || true; rm -rf "$work"' EXIT

# shellcheck disable=SC2329 # called by the shell that unshare starts
inside() {
  set -e
  local root=$work/root name
  mkdir "$root" "$work/layers"
  mount -t tmpfs tmpfs "$work/layers"
  mkdir "$work/layers/upper" "$work/layers/work"
  mount -t overlay overlay -o "lowerdir=/,upperdir=$work/layers/upper,workdir=$work/layers/work" "$root"
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys"
  if [ -e /sys/fs/cgroup/cgroup.procs ]; then
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  else
    mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
    mkdir "$root"/sys/fs/cgroup/{systemd,unified,pids,memory}
    mount -t cgroup -o none,name=systemd systemd "$root/sys/fs/cgroup/systemd"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified"
    mount -t cgroup -o pids pids "$root/sys/fs/cgroup/pids"
    mount -t cgroup -o memory memory "$root/sys/fs/cgroup/memory"
  fi
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for name in null zero full random urandom tty; do cp -a "/dev/$name" "$root/dev/"; done
  mkdir "$root/dev/shm" "$root/dev/pts"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

  # None of the machine's own services.
  rm -rf "$root"/etc/systemd/system/*
  : >"$root/etc/fstab"
  mkdir -p "$root/etc/runtrail/pipelines" "$root/etc/sysusers.d" "$root/srv/runtrail" "$root/etc/systemd/system/runtrail.service.d"
  cp "$deploy"/systemd/*.service "$root/etc/systemd/system/"
  cp "$deploy/systemd/sysusers.conf" "$root/etc/sysusers.d/runtrail.conf"
  cp "$deploy/systemd/runtrail.env" "$deploy/systemd/limits.conf" "$root/etc/runtrail/"
  cp "$pipelines"/*.toml "$root/etc/runtrail/pipelines/"
  install -m 0755 "$program" "$root/usr/bin/runtrail"
  install -m 0755 "$script" "$root/etc/script"
  # An address of this machine would be that of another test: the network is its own.
  ip link set lo up
  printf '[Unit]\nRequires=script.service\n' >"$root/etc/systemd/system/default.target"
  cat >"$root/etc/systemd/system/script.service" <<END
[Unit]
Wants=basic.target
After=basic.target
[Service]
Type=oneshot
StandardOutput=file:/out
StandardError=file:/out
ExecStart=/etc/script
ExecStopPost=/bin/systemctl --no-block exit
END
  touch "$root/out" "$work/out"
  mount --bind "$work/out" "$root/out"
  mkdir "$root/old"
  cd "$root"
  # Not chroot, in which the kernel allows no user namespaces, and so no sandboxes.
  pivot_root . old
  umount -l /old
  exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --log-target=null
}
export -f inside

for group in "${groups[@]}"; do echo $$ >"$group/cgroup.procs"; done
status=0
timeout --kill-after=10 150 unshare --cgroup --mount --pid --fork --kill-child --uts --ipc --net --propagation private \
  bash -c inside || status=$?
for group in "${groups[@]}"; do echo $$ >"${group%/*}/cgroup.procs"; done
cat "$work/out"
exit "$status"
