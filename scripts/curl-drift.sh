#!/bin/sh
# Three simulated years, sent to a quote service by curl, a month after the other: drift, as a monitor sees it.
set -eu

usage() {
    cat <<'TEXT'
usage: scripts/curl-drift.sh HOST:PORT

Sends the workshop's world, 36 months of 1,500 policies, to POST /predict/mock of the quote service at HOST:PORT, month
by month in their order, and prints each month and its rate. One curl a month keeps its connections open.

  --months N      so many months (36)
  --policies N    so many policies a month (1500)
  --connections N so many at a time (4)
  --help          this text

MOTORISK_API_KEY is sent where it is set. The policies come from `motorisk simulate --csv`, so that the environment has
to be there (`make install`).
TEXT
}

fail() {
    echo "curl-drift: $1" >&2
    exit "${2:-1}"
}

months=36 policies=1500 connections=4 address=""
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) usage && exit 0 ;;
    --months | --policies | --connections)
        [ $# -ge 2 ] || fail "$1 needs a number" 2
        case $2 in '' | *[!0-9]* | 0*) fail "$1 needs a number, got '$2'" 2 ;; esac
        case $1 in
        --months) months=$2 ;;
        --policies) policies=$2 ;;
        --connections) connections=$2 ;;
        esac
        shift
        ;;
    -*) fail "unknown option $1; see --help" 2 ;;
    *)
        [ -z "$address" ] || fail "one HOST:PORT, please; see --help" 2
        address=$1
        ;;
    esac
    shift
done
[ -n "$address" ] || { usage >&2 && exit 2; }
address=${address#http://}
url="http://${address%/}/predict/mock"

command -v curl >/dev/null || fail "curl is not installed"
checkout=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
motorisk=$checkout/.venv/bin/motorisk
[ -x "$motorisk" ] || motorisk=$(command -v motorisk) || fail "Motorisk is not installed: make install"
curl --silent --output /dev/null --max-time 10 "http://${address%/}/healthz" ||
    fail "no quote service answers at $address; start one: motorisk serve"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM
"$motorisk" simulate --csv "$folder" --months "$months" --policies "$policies" --json >/dev/null

# One request a row, as curl's configuration; columns by their names.
# shellcheck disable=SC2016  # awk's dollars
requests='
NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
NR > 2 { print "next" }
{
    print "url = \"" url "\""
    print "header = \"Content-Type: application/json\""
    if (ENVIRON["MOTORISK_API_KEY"] != "") print "header = \"Authorization: Bearer " ENVIRON["MOTORISK_API_KEY"] "\""
    print "output = /dev/null\nsilent\nmax-time = 30\nretry = 3\nretry-connrefused"
    print "write-out = \"%{http_code}\\n\""
    printf "data = \"{\\\"driver\\\": {\\\"training\\\": %s, \\\"age\\\": %s, \\\"miles\\\": %s}, ", flag($at["training"]), $at["age"], $at["miles"]
    printf "\\\"vehicle\\\": {\\\"emergency_braking\\\": %s, \\\"braking_distance\\\": %s, \\\"power\\\": %s}}\"\n", flag($at["emergency_braking"]), $at["braking_distance"], $at["power"]
}
function flag(value) { return value == 1 ? "true" : "false" }
'
sent=0 began=$(date +%s.%N)
for file in "$folder"/policies-*.csv; do
    month=${file##*policies-} month=${month%.csv}
    awk -F, -v url="$url" "$requests" "$file" >"$folder/requests"
    start=$(date +%s.%N)
    curl --config "$folder/requests" --parallel --parallel-max "$connections" >"$folder/statuses" 2>/dev/null || true
    end=$(date +%s.%N)
    answered=$(grep -c '^200$' "$folder/statuses" || true)
    rate=$(echo "$start $end $answered" | awk '{ printf "%.0f", $3 / ($2 - $1) }')
    echo "$month  $answered of $policies answered, $rate a second"
    if [ "$answered" != "$policies" ]; then
        status=$(grep -v '^200$' "$folder/statuses" | sort | uniq -c | sort -rn | awk 'NR == 1 { print $2 " (" $1 " times)" }')
        fail "not all of $month was answered; most often otherwise: ${status:-nothing}"
    fi
    sent=$((sent + answered))
done
echo "$began $(date +%s.%N) $sent" |
    awk '{ printf "%d policies in %.1f s, %.0f a second\n", $3, $2 - $1, $3 / ($2 - $1) }'
