#!/bin/sh
# Used by the Dockerfile: install what requirements/ locks for some extras, or the project's wheel, without traces of
# when that was done: the same inputs make the same files.
# usage: docker/install.sh libraries EXTRA... | docker/install.sh project
set -eu
what=$1
shift
case $what in
libraries)
    files=""
    for extra in "$@"; do
        files="$files -r requirements/$extra.txt"
    done
    uv venv --quiet --no-project /opt/motorisk
    # shellcheck disable=SC2086  # one word a file
    uv pip install --quiet --python /opt/motorisk --no-deps --require-hashes $files
    made=/opt/motorisk
    ;;
project)
    # Beside the libraries for now; both lie in one folder in the image.
    uv pip install --quiet --python /opt/motorisk --no-deps --prefix /opt/project /dist/*.whl
    made=/opt/project
    # When the wheel was made, by uv's reckoning.
    for facts in "$made"/lib/python*/site-packages/motorisk-*.dist-info; do
        rm "$facts/uv_cache.json"
        sed -i '/uv_cache.json/d' "$facts/RECORD"
    done
    ;;
esac
rm -f "$made/.lock"
find "$made" -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH:-315532800}" {} +
