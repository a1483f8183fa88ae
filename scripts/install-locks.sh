#!/usr/bin/env bash
# Installs lock files into a virtual environment: install-locks.sh DIRECTORY LOCK...
# The locks are complete, so nothing is resolved: without --no-deps pip 23.2, for one, meets
# `coverage[toml]`, finds a newer coverage than the locked one, and refuses it for want of a hash.
set -euo pipefail

directory=$1
shift
locks=()
for lock in "$@"; do
  locks+=(--requirement "$lock")
done

# Downloads and unpacking take minutes on a slow network: each package is named as pip comes to it.
# A local index that lacks a package is worth no warning.
echo "Installing $* into $directory ..."
"$directory/bin/pip" install --no-deps --require-hashes "${locks[@]}" \
  2> >(grep --line-buffered -v '^WARNING: Location .* is ignored' >&2) |
  while read -r verb rest; do
    case $verb in
      Collecting) echo "  ${rest%% *}" ;;
      Processing) echo "  $(basename "${rest%% *}")" ;;
      Installing) echo "  Unpacking all of them ..." ;;
    esac
  done
