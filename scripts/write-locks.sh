#!/usr/bin/env bash
# Writes the lock files from pyproject.toml: write-locks.sh [--upgrade]
# Versions already locked stay unless --upgrade is given. UV names the tool where it is not on the PATH.
set -euo pipefail

cd "$(dirname "$0")/.."
uv=${UV:-uv}
if ! command -v "$uv" > /dev/null; then
  echo "Locking needs uv. Install it, or name it: make lock UV=/path/to/uv" >&2
  exit 1
fi

# Hashes of every platform's files, for Python 3.11 and newer. No address of a registry is written.
compile() {
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --custom-compile-command "make lock" "${upgrade[@]}" "$@"
}

upgrade=("$@")
compile pyproject.toml --output-file requirements.lock
compile pyproject.toml --extra test --constraint requirements.lock --output-file requirements-test.lock
compile pyproject.toml --extra bench --constraint requirements-test.lock --output-file requirements-bench.lock
python3 -c '
import tomllib
with open("pyproject.toml", "rb") as file:
    print(*tomllib.load(file)["build-system"]["requires"], sep="\n")
' | compile - --output-file requirements-build.lock

# For CI only: the oldest pip that must be able to install the others.
compile - --output-file .ci/oldest-pip.lock <<< "pip==22.3"
