#!/usr/bin/env bash
# Makes a virtual environment: make-virtual-environment.sh DIRECTORY
# PYTHON names the interpreter; without it the first Python 3.11 or newer of this machine is taken.
# As root on Debian a missing Python or venv module is installed; elsewhere it says what to install.
set -euo pipefail

directory=$1
read -ra candidates <<< "${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}"

# Prints the first candidate for which the Python expression holds. Each is run, not just looked
# up: a name on the PATH may be a shim of a version that is not there.
first_where() {
  local candidate
  for candidate in "${candidates[@]}"; do
    if "$candidate" -c "import sys; sys.exit(not ($1))" > /dev/null 2>&1; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

new_enough='sys.version_info >= (3, 11)'
# Debian packs ensurepip, without which an environment has no pip, apart from Python.
complete="$new_enough and __import__('ensurepip') and __import__('venv')"

if ! first_where "$complete" > /dev/null; then
  "$(dirname "$0")/install-debian-packages.sh" python3 python3-venv
fi
if ! python=$(first_where "$complete"); then
  if python=$(first_where "$new_enough"); then
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    echo "Python $version has no venv module. Install it: apt-get install python$version-venv" >&2
  else
    echo "No Python 3.11 or newer found as: ${candidates[*]}" >&2
    echo "Install one (Debian 12: apt-get install python3 python3-venv), or name one: make PYTHON=/path/to/python3" >&2
  fi
  exit 1
fi

echo "Making $directory with $("$python" --version) ..."
"$python" -m venv --clear "$directory"
