#!/bin/sh
# Where the platform that `make up` started is, and a quote to paste.
set -eu
cd "$(dirname "$0")/.."
value() { sed -n "s/^$1=//p" .env | tail -n 1; }
echo "Airflow        http://127.0.0.1:$(value AIRFLOW_PORT)  (admin / $(value AIRFLOW_ADMIN_PASSWORD), uma / $(value AIRFLOW_UMA_PASSWORD))"
echo "Quotes         http://127.0.0.1:$(value QUOTE_PORT)"
echo "Drift reports  http://127.0.0.1:$(value DRIFT_UI_PORT)"
echo "Prometheus     http://127.0.0.1:$(value PROMETHEUS_PORT)"
echo "Alertmanager   http://127.0.0.1:$(value ALERTMANAGER_PORT)"
case $(value COMPOSE_PROFILES) in *demo*)
    echo "The first night takes one to three minutes more: docker compose logs --follow first-night. Then a quote:" ;;
esac
echo "curl -s http://127.0.0.1:$(value QUOTE_PORT)/v1/quotes -H 'Content-Type: application/json' -d '{\"driver\": {\"training\": false, \"age\": 35, \"miles\": 45.9}, \"vehicle\": {\"emergency_braking\": false, \"braking_distance\": 45.0, \"power\": 90.0}}'"
