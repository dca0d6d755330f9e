"""What operators and tools ask: health, the model, metrics, the API's description, headers."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from flask_openapi3.models import APISpec
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, insert, select
from tests.scrapes import samples

from motorisk.domain.policy import FEATURES
from motorisk.ports import free_port
from motorisk.warehouse.tables import drift_metric, drift_run, drift_window, drift_window_metric

JsonObject = dict[str, Any]


def test_the_process_tells_that_it_lives_and_that_it_is_ready(client: httpx.Client, champion: int) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {
        "status": "ready",
        "model_version": champion,
        "journal_pending": 0,
        "reason": None,
    }


def test_the_model_is_told_with_its_approval_and_its_experience(client: httpx.Client, champion: int) -> None:
    document = client.get("/v1/model").json()
    assert document["version"] == champion
    assert (document["candidate"], document["as_of"], document["rows"]) == ("by hand", "2026-01-01", 1500)
    assert document["approved_by"] == "uma"
    assert document["metrics"] == {"accuracy": 0.9, "log_loss": 0.25, "rmse": 0.42}
    assert re.fullmatch("[0-9a-f]{64}", document["digest"])
    features = {feature["name"]: feature for feature in document["features"]}
    assert list(features) == list(FEATURES)
    assert features["age"] == {
        "name": "age",
        "part": "driver",
        "unit": "years",
        "description": "the driver's age",
        "plausible": {"minimum": 15, "minimum_allowed": True, "maximum": 120},
        "support": [16.0, 95.0],
        "answered": [pytest.approx(12.05), pytest.approx(98.95)],
    }
    assert features["power"]["plausible"] == {"minimum": 0, "minimum_allowed": False, "maximum": None}


@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
def test_a_scrape_of_any_worker_counts_the_requests_of_all(service: Any, body: JsonObject, path: str) -> None:
    def scrape() -> dict[str, float]:
        return samples(service.get(path).text)

    quotes = "motorisk_quotes_total,channel=quote,predictor=rules,risk_class=high"
    fallbacks = "motorisk_quote_fallbacks_total,feature=miles"
    answered = "motorisk_http_requests_total,method=POST,route=/v1/quotes,status=201"
    timed = "motorisk_http_request_duration_seconds_count,method=POST,route=/v1/quotes"
    before = scrape()
    body["driver"] |= {"miles": 400, "age": 60}
    for _ in range(20):  # a connection each, so that both workers answer some
        service.post("/v1/quotes", body).raise_for_status()
    for _ in range(6):
        after = scrape()
        for name in (quotes, fallbacks, answered, timed):
            assert after[name] - before.get(name, 0) == 20, name


def test_metrics_name_the_route_and_never_the_address(client: httpx.Client) -> None:
    client.get("/nowhere/17")
    client.get("/v1/quotes/00000000-0000-4000-8000-000000000000")
    text = client.get("/metrics").text
    assert 'route="(none)",status="404"' in text
    assert 'route="/v1/quotes/<uuid:quote_id>",status="404"' in text
    assert "nowhere" not in text
    assert "00000000-0000" not in text


def test_metrics_tell_the_model(client: httpx.Client, champion: int) -> None:
    found = samples(client.get("/metrics").text)
    workers = [name for name in found if name.startswith("motorisk_model_version,pid=")]
    assert len(workers) == 2
    assert {found[name] for name in workers} == {champion}
    digest = client.get("/v1/model").json()["digest"]
    info = f"motorisk_model_info,as_of=2026-01-01,candidate=by hand,digest={digest},version={champion}"
    assert found[info] == 1


def test_the_workshops_drift_gauges_are_absent_until_drift_was_measured(client: httpx.Client) -> None:
    assert "number_of_columns" not in client.get("/metrics").text


def test_the_workshops_drift_gauges_tell_the_latest_run(warehouse: Engine, approve: Any, start_app: Any) -> None:
    version = approve(warehouse)
    with warehouse.begin() as connection:
        for as_of, drifted in (("2026-02-28", {"age"}), ("2026-03-31", {"age", "miles", "emergency_braking"})):
            run = {"as_of": as_of, "version": version, "month": f"{as_of[:7]}-01", "rows": 1500, "report": "r.html"}
            share = len(drifted) / len(FEATURES)
            run |= {"reference_rows": 1500, "dataset_drift": share >= 0.5, "drifted_share": share}
            connection.execute(insert(drift_run), run)
            metric = {"as_of": as_of, "method": "wasserstein", "threshold": 0.1}
            scores = [metric | {"feature": name, "score": 0.2, "drifted": name in drifted} for name in FEATURES]
            connection.execute(insert(drift_metric), scores)
        coming = {"as_of": "2199-12-31"}
        connection.execute(insert(drift_run), run | coming | {"month": "2199-12-01", "drifted_share": 0.0})
        connection.execute(insert(drift_metric), [score | coming | {"drifted": False} for score in scores])
    found = samples(start_app().get("/metrics").text)
    assert found["number_of_columns"] == 6
    assert found["number_of_drifted_columns"] == 3
    assert found["share_of_drifted_columns"] == 0.5
    assert found["dataset_drift"] == 1
    assert {name for name in found if name.startswith("drift_score_by_columns")} == {
        f"drift_score_by_columns,feature={name}" for name in FEATURES
    }


def test_promtool_finds_nothing_to_say_about_the_metrics(client: httpx.Client, body: JsonObject) -> None:
    client.post("/v1/quotes", json=body).raise_for_status()
    scrape = client.get("/metrics").text
    promtool = str(shutil.which("promtool"))  # scripts/install-system-parts.sh installs it
    checked = subprocess.run([promtool, "check", "metrics"], input=scrape, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    families = {family.name: family for family in text_string_to_metric_families(scrape)}
    assert len(families) > 15
    for name, family in families.items():
        assert name.startswith("motorisk_"), name
        assert family.documentation, name


def test_metrics_tell_premiums_batches_repeats_and_the_model_s_age(
    service: Any, champion: int, body: JsonObject
) -> None:
    def scrape() -> dict[str, float]:
        return samples(service.get("/metrics").text)

    names = (
        "motorisk_quote_gross_premium_count,currency=EUR",
        "motorisk_recorder_batch_rows_sum,recorded=ledger",
        "motorisk_quotes_repeated_total",
    )
    before = scrape()
    with service.client() as client:
        for _ in range(4):
            client.post("/v1/quotes", json=body, headers={"Idempotency-Key": "metrics"}).raise_for_status()
    after = scrape()
    # The recorder counts after it has woken the request.
    deadline = time.monotonic() + 5
    while after[names[1]] - before[names[1]] < 4 and time.monotonic() < deadline:
        after = scrape()
    rises = [after[name] - before.get(name, 0) for name in names]
    assert rises == [1, 4, 3]  # each asks the ledger for its key
    assert after["motorisk_tariff_info,currency=EUR,tariff=standard"] == 1
    assert after["motorisk_model_as_of_timestamp_seconds"] == datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert abs(after["motorisk_model_approved_timestamp_seconds"] - time.time()) < 3600
    assert after["motorisk_champion_refresh_failures_total,reason=plan"] == 0


def test_the_service_keeps_its_numbers_in_a_folder_of_its_own(
    warehouse: Engine, approve: Any, start_service: Any, tmp_path: Path
) -> None:
    version = approve(warehouse)
    shared = tmp_path / "shared"
    shared.mkdir()
    for _ in range(2):
        start_service(PROMETHEUS_MULTIPROC_DIR=str(shared)).wait_until_served(version)  # two workers, not four
    assert list(shared.iterdir()) == []


def test_a_window_of_quotes_measured_later_is_what_the_workshops_gauges_tell(
    warehouse: Engine, approve: Any, start_app: Any
) -> None:
    version = approve(warehouse)
    night = {"as_of": "2026-03-31", "version": version, "month": "2026-03-01", "rows": 1400, "report": "r.html"}
    night |= {"reference_rows": 1500, "dataset_drift": False, "drifted_share": 0.0, "measured_at": "2026-04-01T01:00Z"}
    window = {"size": 1500, "version": version, "first_quoted_at": "2026-04-01", "last_quoted_at": "2026-04-02"}
    window |= {"rows": 1, "quote_ids": [uuid.uuid4()], "dataset_drift": True, "drifted_share": 0.5, "figures": {}}
    metric = {"method": "wasserstein", "threshold": 0.14}
    with warehouse.begin() as connection:
        connection.execute(insert(drift_run), night)
        connection.execute(insert(drift_window), window | {"measured_at": "2026-04-02T12:00Z"})
        (window_id,) = connection.scalars(select(drift_window.c.window_id))
        for name in FEATURES:
            scored = metric | {"feature": name, "score": 0.05, "drifted": False}
            connection.execute(insert(drift_metric), scored | {"as_of": "2026-03-31"})
            counts = {"rows": 1, "missing": 0, "more_missing": False, "outliers": 2, "evidence": 30.5, "says": ""}
            live = (
                scored | counts | {"window_id": window_id, "score": 0.2, "drifted": name in {"age", "miles", "power"}}
            )
            connection.execute(insert(drift_window_metric), live)
    found = samples(start_app().get("/metrics/").text)
    assert found["number_of_drifted_columns"] == 3
    assert found["drift_score_by_columns,feature=age"] == 0.2
    quotes, policies = "kind=quotes,window=1500", "kind=policies,window=month"
    assert found[f"motorisk_drift_dataset,{quotes}"] == 1
    assert found[f"motorisk_drift_dataset,{policies}"] == 0
    assert found[f"motorisk_drift_rows,{policies}"] == 1400
    assert found["motorisk_drift_score,feature=age,kind=quotes,window=1500"] == 0.2
    assert found["motorisk_drift_score,feature=age,kind=policies,window=month"] == 0.05
    assert found["motorisk_drift_outliers,feature=age,kind=quotes,window=1500"] == 2
    assert found["motorisk_drift_evidence,feature=age,kind=quotes,window=1500"] == 30.5
    assert "motorisk_drift_evidence,feature=age,kind=policies,window=month" not in found, "not measured that night"


@pytest.fixture
def openapi(client: httpx.Client) -> JsonObject:
    document: JsonObject = client.get("/openapi.json").json()
    return document


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_the_description_is_a_complete_openapi_3_1_document(openapi: JsonObject) -> None:
    assert openapi["openapi"] == "3.1.0"
    APISpec.model_validate(openapi)
    schemas = openapi["components"]["schemas"]
    assert {reference.removeprefix("#/components/schemas/") for reference in references(openapi)} <= schemas.keys()
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_description_names_every_address_and_its_problems(openapi: JsonObject) -> None:
    assert {(method, path) for path, item in openapi["paths"].items() for method in item} == {
        ("post", "/v1/quotes"),
        ("get", "/v1/quotes/{quote_id}"),
        ("post", "/v1/quotes/batch"),
        ("post", "/v1/quotes/what-if"),
        ("get", "/v1/model"),
        ("post", "/predict/"),
        ("post", "/predict/mock"),
        ("get", "/healthz"),
        ("get", "/readyz"),
    }
    for path in ("/v1/quotes", "/v1/quotes/batch", "/v1/quotes/what-if", "/predict/", "/predict/mock"):
        responses = openapi["paths"][path]["post"]["responses"]
        assert {"400", "413", "415", "422", "500", "503"} < responses.keys()
        for status, response in responses.items():
            if status >= "400":
                assert response["content"]["application/problem+json"]["schema"]["$ref"].endswith("/Problem")
    assert "422" not in openapi["paths"]["/healthz"]["get"]["responses"]


def test_the_description_has_the_domains_bounds_and_units(openapi: JsonObject) -> None:
    schemas = openapi["components"]["schemas"]
    described = {"driver": schemas["Driver"]["properties"], "vehicle": schemas["Vehicle"]["properties"]}
    assert {part: set(fields) for part, fields in described.items()} == {
        part: {name for name, feature in FEATURES.items() if feature.part == part} for part in ("driver", "vehicle")
    }
    age, power = described["driver"]["age"], described["vehicle"]["power"]
    assert (age["type"], age["minimum"], age["maximum"]) == ("number", 15, 120)
    assert "years" in age["description"]
    assert power["exclusiveMinimum"] == 0
    assert "kW" in power["description"]
    assert schemas["Driver"]["additionalProperties"] is False


@pytest.mark.parametrize("age", [35, 119])
def test_real_answers_have_the_form_that_is_described(
    client: httpx.Client, openapi: JsonObject, body: JsonObject, age: int
) -> None:
    body["driver"]["age"] = age
    answers = [
        ("/v1/quotes", "post", "201", client.post("/v1/quotes", json=body)),
        ("/predict/", "post", "200", client.post("/predict/", json=body)),
        ("/predict/mock", "post", "200", client.post("/predict/mock", json=body)),
        ("/v1/model", "get", "200", client.get("/v1/model")),
        ("/healthz", "get", "200", client.get("/healthz")),
        ("/readyz", "get", "200", client.get("/readyz")),
        ("/v1/quotes", "post", "422", client.post("/v1/quotes", json={})),
        ("/v1/quotes", "post", "415", client.post("/v1/quotes")),
    ]
    for path, method, status, response in answers:
        assert str(response.status_code) == status
        content = openapi["paths"][path][method]["responses"][status]["content"]
        schema = content[response.headers["Content-Type"]]["schema"]
        jsonschema.validate(response.json(), {**schema, "components": openapi["components"]})
    request = openapi["paths"]["/v1/quotes"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    jsonschema.validate(body, {**request, "components": openapi["components"]})


def test_documents_answer_with_no_field_more_or_less_than_described(
    client: httpx.Client, openapi: JsonObject, body: JsonObject
) -> None:
    schemas = openapi["components"]["schemas"]
    quote = client.post("/v1/quotes", json=body).json()
    assert quote.keys() == schemas["QuoteDocument"]["properties"].keys()
    assert quote["premium"].keys() == schemas["PremiumDocument"]["properties"].keys()
    model = client.get("/v1/model").json()
    assert model.keys() == schemas["ModelDocument"]["properties"].keys()
    assert model["features"][0].keys() == schemas["FeatureDocument"]["properties"].keys()


@pytest.mark.parametrize("path", ["/docs", "/docs/"])
def test_the_api_page_works_from_this_machine_alone(client: httpx.Client, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert "://" not in response.text
    loaded = re.findall('(?:src|href|data-openapi)="([^"]+)"', response.text)
    assert len(loaded) == 5
    for address in loaded:
        asset = client.get(address)
        assert (asset.status_code, bool(asset.content)) == (200, True), address
    assert "<script>" not in response.text  # the policy allows scripts from files only
    assert "script-src 'self';" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/healthz"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/metrics"),
        ("GET", "/nowhere"),
        ("POST", "/v1/quotes"),
        ("OPTIONS", "/v1/quotes"),
        ("DELETE", "/predict"),
    ],
)
def test_every_answer_carries_the_security_headers(client: httpx.Client, method: str, path: str) -> None:
    headers = client.request(method, path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "Strict-Transport-Security" not in headers  # not over plain HTTP
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_behind_tls_browsers_are_told_to_stay_there(client: httpx.Client, body: JsonObject) -> None:
    through_a_proxy = {"X-Forwarded-Proto": "https"}
    for response in (client.get("/healthz", headers=through_a_proxy), client.post("/v1/quotes", json=body)):
        is_secure = "X-Forwarded-Proto" in response.request.headers
        assert ("Strict-Transport-Security" in response.headers) == is_secure
    response = client.post("/v1/quotes", json=body, headers=through_a_proxy)
    assert response.headers["Strict-Transport-Security"].startswith("max-age=31536000")


def test_the_service_loads_none_of_the_batch_libraries() -> None:
    heavy = {"numpy", "pandas", "scipy", "sklearn", "pyarrow", "evidently", "airflow"}
    program = f"import sys, motorisk_web.app; print(*({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert found.strip() == ""


@pytest.mark.fault("port taken")
@pytest.mark.parametrize("setting", ["MOTORISK_QUOTE_PORT", "MOTORISK_QUOTE_ADMIN_PORT"])
def test_a_taken_port_is_one_clear_line(
    service: Any, server_environment: dict[str, str], tmp_path: Path, setting: str
) -> None:
    port = service.url.rpartition(":")[2]
    refused = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", "python:motorisk_web.gunicorn_conf"],
        env=server_environment | {"MOTORISK_QUOTE_PORT": str(free_port()), setting: port},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert refused.returncode == 1
    lines = [line for line in refused.stderr.splitlines() if "Starting gunicorn" not in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"Port taken: port {port} for quotes cannot be used (")
    assert lines[0].endswith(f"set {setting} to another port")


@pytest.mark.fault("wrong setting")
@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("QUOTE_PROT", "1", "unknown setting MOTORISK_QUOTE_PROT; did you mean MOTORISK_QUOTE_PORT?"),
        ("DATABASE_URL", "nowhere", "MOTORISK_DATABASE_URL is not a database address (postgresql://…)"),
        ("QUOTE_ADMIN_PORT", "8000", "MOTORISK_QUOTE_ADMIN_PORT must not be MOTORISK_QUOTE_PORT, got 8000"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    server_environment: dict[str, str], tmp_path: Path, name: str, value: str, line: str
) -> None:
    refused = subprocess.run(
        [sys.executable, "-m", "gunicorn", "-c", "python:motorisk_web.gunicorn_conf"],
        env=server_environment | {f"MOTORISK_{name}": value},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (refused.returncode, refused.stderr) == (1, f"Wrong setting: {line}\n")


def workers(service: Any) -> set[int]:
    return set(map(int, re.findall(r'motorisk_model_version{pid="(\d+)"}', service.get("/metrics").text)))


@pytest.mark.fault("killed while quoting")
def test_a_worker_that_dies_is_replaced_and_its_counts_stay(
    warehouse: Engine, approve: Any, start_service: Any, body: JsonObject
) -> None:
    version = approve(warehouse)
    service = start_service()
    service.wait_until_served(version)
    for _ in range(10):
        service.post("/v1/quotes", body).raise_for_status()
    before = workers(service)
    dead = before.pop()
    os.kill(dead, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while len(now := workers(service)) != 2 or not before < now or dead in now:
        assert time.monotonic() < deadline, service.log.read_text()
        time.sleep(0.1)
    service.wait_until_served(version)
    counted = samples(service.get("/metrics").text)
    assert counted["motorisk_http_requests_total,method=POST,route=/v1/quotes,status=201"] == 10
