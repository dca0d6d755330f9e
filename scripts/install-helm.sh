#!/bin/sh
# Put the `helm` that requirements/helm.txt locks into an environment: Linux on x86-64 only; elsewhere the tests take
# the one on the PATH. The wheel carries it in an archive within an archive, and nothing else of it is installed.
# usage: scripts/install-helm.sh VENV
set -eu
venv=$1
case "$(uname -sm)" in
    "Linux x86_64") ;;
    *)
        echo "Not installed, tests of the Helm chart need it: helm (the locked one is for Linux on x86-64)"
        exit 0
        ;;
esac
wheel=$(mktemp -d)
trap 'rm -rf "$wheel"' EXIT
"$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes --no-deps --target "$wheel" \
    -r requirements/helm.txt
"$venv/bin/python" - "$wheel" "$venv/bin/helm" <<'PYTHON'
import io
import sys
import tarfile
import zipfile
from pathlib import Path

wheel, target = map(Path, sys.argv[1:])
(archive,) = wheel.glob("aws_cdk/*/_jsii/*.tgz")
with tarfile.open(archive) as package:
    layer = package.extractfile("package/lib/layer.zip").read()
target.unlink(missing_ok=True)
target.write_bytes(zipfile.ZipFile(io.BytesIO(layer)).read("helm/helm"))
target.chmod(0o755)
PYTHON
