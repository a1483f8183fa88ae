#!/usr/bin/env bash
# Installs the Debian packages that are missing: install-debian-packages.sh PACKAGE...
# Only as root on Debian. Elsewhere, and where apt fails, it says so and ends well: the tests look
# for the programs themselves, and skip with a reason or, where CI=true, fail.
set -euo pipefail

is_installed() {
  # shellcheck disable=SC2016 # dpkg-query fills in the field, not the shell
  [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2> /dev/null) == installed ]]
}

missing=()
for package in "$@"; do
  is_installed "$package" || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

if ! command -v apt-get > /dev/null; then
  echo "Not installed, as there is no apt-get here: ${missing[*]}" >&2
  exit 0
fi
if [[ $(id -u) -ne 0 ]]; then
  echo "Not installed, as only root may: apt-get install ${missing[*]}" >&2
  exit 0
fi

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
made_policy=
# shellcheck disable=SC2329 # called by the trap
clean_up() {
  rm -f "$log"
  [[ -z $made_policy ]] || rm -f "$policy"
}
trap clean_up EXIT

# Debian starts a service as soon as it is installed; this file forbids that until we end.
if [[ ! -e $policy ]]; then
  made_policy=yes
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
fi

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes -o DPkg::Lock::Timeout=120 "$@" \
    >> "$log" 2>&1 < /dev/null
}

echo "Installing Debian packages: ${missing[*]} ..."
if ! { apt update && apt install --no-install-recommends "${missing[@]}"; }; then
  tail -n 20 "$log" >&2
  echo "Not installed, as apt-get failed (its last lines are above): ${missing[*]}" >&2
fi
