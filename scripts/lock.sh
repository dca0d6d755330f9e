#!/bin/sh
# Resolve all extras together, so that they agree, then write one hashed file an extra. Hashes, no addresses: the
# files work with whatever package index the machine is set up for.
# usage: scripts/lock.sh UV
set -eu
uv=$1
all=$(mktemp)
trap 'rm -f "$all"' EXIT
compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --custom-compile-command "make lock" "$@"
}
compile pyproject.toml --all-extras --upgrade --output-file "$all"
for extra in airflow batch demo dev drift embedded web; do
    compile pyproject.toml --extra "$extra" --constraint "$all" --generate-hashes --no-annotate \
        --output-file "requirements/$extra.txt"
done
echo "hatchling" | compile - --constraint "$all" --generate-hashes --no-annotate --output-file requirements/build.txt
echo "uv" | compile - --generate-hashes --no-annotate --output-file requirements/uv.txt
if grep -rnE '(https?|file)://' requirements; then
    echo "an address got into the lock files" >&2
    exit 1
fi
