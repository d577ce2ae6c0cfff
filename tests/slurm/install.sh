#!/usr/bin/env bash
# Installs what the tests on SLURM need, unless it is there: Debian's slurm-wlm and munge. The
# packages stay; nothing of them is started.
set -euo pipefail

missing=()
for program in munged slurmctld slurmd sbatch; do
  PATH="$PATH:/usr/sbin" command -v "$program" >/dev/null || missing+=("$program")
done
[ ${#missing[@]} -eq 0 ] && exit

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
  echo "make test-slurm needs ${missing[*]}, which it installs by itself as root on Debian or" >&2
  echo "Ubuntu (packages slurm-wlm and munge). Run it so, in a container for instance." >&2
  exit 2
fi

# Debian's way to install a service without starting it.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge \
  >/dev/null
