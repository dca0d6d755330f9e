#!/bin/sh
# Build both images, labelled with the git commit and dated by it, so that the same commit makes the same files. Tags:
# `local`, which docker-compose.yaml takes, the commit, and none, for `docker run`.
set -eu
cd "$(dirname "$0")/.."
commit=$(git describe --always --abbrev=12 --dirty --exclude='*')
time=$(git log -1 --format=%ct)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
for target in airflow webservice; do
    docker build --target "$target" \
        --build-arg "GIT_COMMIT=$(git rev-parse HEAD)" --build-arg "SOURCE_DATE_EPOCH=$time" --build-arg "VERSION=$version" \
        --tag "motorisk-$target" --tag "motorisk-$target:local" --tag "motorisk-$target:$commit" .
done
