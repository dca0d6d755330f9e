#!/bin/sh
# Stand-ins for the images that Dockerfile and docker-compose.yaml name, for a machine that reaches a Debian mirror and
# a Python index but no image registry: the same programs, not the same versions, and only the entry points that the
# compose file relies on. Enough to check build, start, one night, and killing things. Never ship what is built on them.
#
#   python                        Debian 13's own Python 3.13
#   postgres                      PostgreSQL 18 of the wheel that `make demo` uses
#   redis, Prometheus, Alertmanager   Debian 13's packages
#   statsd-exporter               docker/stand_in/statsd_exporter.py, which knows no more than our mapping.yml
# Grafana and Gitea have no stand-in: their profiles need the real images.
#
# Needs root, debootstrap and a running engine. Certificates that this machine trusts are trusted in the images.
set -eu
cd "$(dirname "$0")/.."
root=${1:-$(mktemp -d)/trixie}
image() { sed -n "s|^ *image: \($1:[^ ]*\)$|\1|p" docker-compose.yaml | head -n 1; }
python=$(sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile)

if [ ! -x "$root/usr/bin/python3" ]; then
    echo "Debian 13 in $root"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv trixie "$root" >"$root.log"
fi
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
ln -sf /usr/bin/python3 "$root/usr/local/bin/python"
ln -sf /usr/bin/python3 "$root/usr/local/bin/python3"
trust=/etc/ssl/certs/ca-certificates.crt
tar -C "$root" --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale \
    --exclude=./var/lib/apt/lists --exclude=./var/cache/apt --exclude=./dev --exclude=./proc --exclude=./sys -c . |
    docker import --change "ENV SSL_CERT_FILE=$trust PIP_CERT=$trust REQUESTS_CA_BUNDLE=$trust" \
        --change 'ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin' - "$python" >/dev/null
echo "$python"
for service in postgres redis prom/prometheus prom/alertmanager prom/statsd-exporter; do
    docker build --quiet --build-arg "PYTHON_IMAGE=$python" --target "$(basename "$service")" \
        --tag "$(image "$service")" docker/stand_in >/dev/null
    image "$service"
done
