#!/bin/sh
# Install the locked requirements of some extras, every file checked against its hash, and Motorisk itself, editable.
# usage: scripts/install.sh VENV EXTRA...
set -eu
venv=$1
shift
files=""
for extra in "$@"; do
    files="$files -r requirements/$extra.txt"
done
echo "Installing: $*"
# shellcheck disable=SC2086  # one word a file
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r requirements/build.txt $files
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation --editable .
