#!/bin/bash
# Run once, by the Postgres image, when its volume is new: two databases, and a login for each part of the platform that
# may do what that part does and no more (the rights themselves come with the tables: `motorisk db upgrade`). No login
# of the platform is a superuser, and nobody else gets into its databases.
set -euo pipefail
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set=airflow="$AIRFLOW_DB_PASSWORD" --set=owner="$OWNER_DB_PASSWORD" --set=pipeline="$PIPELINE_DB_PASSWORD" \
    --set=quoting="$QUOTING_DB_PASSWORD" --set=reading="$READING_DB_PASSWORD" \
    --set=importing="$IMPORTING_DB_PASSWORD" <<'SQL'
CREATE ROLE motorisk_pipeline;
CREATE ROLE motorisk_registry;
CREATE ROLE motorisk_quoting;
CREATE ROLE motorisk_reading;
CREATE ROLE motorisk_importing;

CREATE ROLE airflow LOGIN PASSWORD :'airflow';
-- Owns the tables; what scoring makes belongs to the pipeline.
CREATE ROLE motorisk LOGIN PASSWORD :'owner' IN ROLE motorisk_pipeline;
CREATE ROLE pipeline LOGIN PASSWORD :'pipeline' IN ROLE motorisk_pipeline;
CREATE ROLE quoting LOGIN PASSWORD :'quoting' IN ROLE motorisk_quoting;
CREATE ROLE reading LOGIN PASSWORD :'reading' IN ROLE motorisk_reading;
CREATE ROLE importing LOGIN PASSWORD :'importing' IN ROLE motorisk_importing;

CREATE DATABASE airflow OWNER airflow;
CREATE DATABASE motorisk OWNER motorisk;
REVOKE ALL ON DATABASE airflow, motorisk, postgres FROM PUBLIC;
GRANT CONNECT ON DATABASE motorisk TO motorisk_registry, motorisk_reading;
-- Simulations, scores and, after Postgres was away, the quote service's journal go through temporary tables.
GRANT CONNECT, TEMPORARY ON DATABASE motorisk TO motorisk_pipeline, motorisk_quoting, motorisk_importing;
SQL
