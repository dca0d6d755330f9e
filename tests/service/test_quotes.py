"""Quotes, asked for over HTTP and looked up in the ledger."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, Row, select, text

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import PROBABILITY_UNITS
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.reasons import average_risk
from motorisk.registry.tariffs import in_force, tariffs
from motorisk.registry.versions import get, load_plan
from motorisk.warehouse.tables import quote

JsonObject = dict[str, Any]


def ask(client: httpx.Client, body: JsonObject, **more: object) -> JsonObject:
    response = client.post("/v1/quotes", json=body | more)
    assert response.status_code == 201, response.text
    document: JsonObject = response.json()
    return document


def stored(database: Engine, quote_id: str) -> Row[Any]:
    with database.connect() as connection:
        return connection.execute(select(quote).where(quote.c.quote_id == uuid.UUID(quote_id))).one()


def test_a_quote_says_everything_that_a_sales_channel_needs(
    client: httpx.Client, body: JsonObject, champion: int
) -> None:
    response = client.post("/v1/quotes", json=body | {"effective_date": "2026-03-01", "reference": "offer 7"})
    document = response.json()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/v1/quotes/{document['quote_id']}"
    assert response.headers["Content-Type"] == "application/json"
    assert document["risk_class"] == max(document["probabilities"], key=document["probabilities"].get)
    assert sum(document["probabilities"].values()) == pytest.approx(1, abs=1e-12)
    assert document["predictor"] == "model"
    assert document["fallback"] is None
    assert document["model_version"] == champion
    assert document["tariff"] == "standard"
    assert document["effective_date"] == "2026-03-01"
    assert document["reference"] == "offer 7"
    premium = document["premium"]
    assert (premium["currency"], premium["period"]) == ("EUR", "year")
    assert Decimal(premium["gross"]) == Decimal(premium["net"]) + Decimal(premium["insurance_tax"])
    assert Decimal(premium["insurance_tax"]) == round(Decimal(premium["net"]) * Decimal("0.19"), 2)
    quoted_at = datetime.fromisoformat(document["quoted_at"])
    assert abs(datetime.now(UTC) - quoted_at) < timedelta(minutes=1)
    assert datetime.fromisoformat(document["valid_until"]) == quoted_at + timedelta(days=30)


def test_a_quote_without_an_effective_date_starts_today(client: httpx.Client, body: JsonObject) -> None:
    before = datetime.now(UTC).date()
    document = ask(client, body)
    assert document["effective_date"] in {before.isoformat(), datetime.now(UTC).date().isoformat()}
    assert document["reference"] is None


@pytest.mark.parametrize("age", [35, 99])
def test_a_quote_read_again_is_the_same_document(client: httpx.Client, body: JsonObject, age: float) -> None:
    body["driver"]["age"] = age
    made = client.post("/v1/quotes", json=body | {"reference": "é 😀", "effective_date": "2031-01-01"})
    read = client.get(made.headers["Location"])
    assert read.status_code == 200
    assert read.json() == made.json()


def test_reasons_sum_to_the_difference_from_the_average_and_come_by_weight(
    client: httpx.Client, body: JsonObject, make_plan: Callable[..., RatingPlan]
) -> None:
    document = ask(client, body, effective_date="2027-01-01")
    shares = [reason["contribution"] for reason in document["reasons"]]
    average = average_risk(make_plan(), make_plan().trend_time(date(2027, 1, 1)))
    assert sum(shares) == pytest.approx(document["expected_risk"] - average, abs=1e-12)
    assert [abs(share) for share in shares] == sorted(map(abs, shares), reverse=True)
    assert {reason["feature"] for reason in document["reasons"]} == FEATURES.keys()
    assert all(reason["text"].endswith(".") for reason in document["reasons"])


def test_fractions_reach_the_model(client: httpx.Client, body: JsonObject) -> None:
    whole = ask(client, body, effective_date="2026-01-01")
    body["driver"]["age"] = 35.5
    body["vehicle"]["power"] = 90.4
    fraction = ask(client, body, effective_date="2026-01-01")
    expected = 0.5 * 0.04 + 0.25 * 0.001 + 0.4 * 0.02
    assert fraction["expected_risk"] - whole["expected_risk"] == pytest.approx(expected, abs=1e-12)


def test_whole_numbers_and_zero_or_one_flags_mean_the_same_as_fractions_and_booleans(
    client: httpx.Client, body: JsonObject
) -> None:
    usual = ask(client, body, effective_date="2026-01-01")
    body["driver"] |= {"training": 0, "age": 35.0}
    body["vehicle"] |= {"emergency_braking": 0, "braking_distance": 45, "power": 90}
    other = ask(client, body, effective_date="2026-01-01")
    assert other["expected_risk"] == usual["expected_risk"]
    assert other["premium"] == usual["premium"]


def test_the_rules_answer_outside_the_models_experience_and_say_why(client: httpx.Client, body: JsonObject) -> None:
    body["driver"]["age"] = 101.5
    body["driver"]["miles"] = 500
    document = ask(client, body)
    assert document["predictor"] == "rules"
    assert document["risk_class"] == "high"
    assert document["probabilities"] is None
    assert document["expected_risk"] is None
    assert document["reasons"] == []
    assert document["fallback"] == [
        {"feature": "age", "value": 101.5, "support": [pytest.approx(12.05), pytest.approx(98.95)]},
        {"feature": "miles", "value": 500.0, "support": [pytest.approx(-3.75), pytest.approx(188.75)]},
    ]
    assert len(document["warnings"]) == 2
    assert "the distance driven is 500 thousand miles a year" in document["warnings"][1]
    assert document["premium"]["net"] == "960.00"


@pytest.mark.parametrize(("feature", "value"), [("power", 5e-324), ("power", 1e308), ("braking_distance", 1e-300)])
def test_extreme_but_possible_numbers_are_priced_and_stored_as_they_are(
    client: httpx.Client, database: Engine, body: JsonObject, feature: str, value: float
) -> None:
    body["vehicle"][feature] = value
    document = ask(client, body)
    assert document["fallback"][0]["value"] == value
    assert getattr(stored(database, document["quote_id"]), feature) == value


def test_a_start_beyond_the_models_trend_is_told(client: httpx.Client, body: JsonObject) -> None:
    assert ask(client, body, effective_date="2027-12-31")["warnings"] == []
    late = ask(client, body, effective_date="2199-12-31")
    assert late["predictor"] == "model"
    assert "24 months" in late["warnings"][0]


@pytest.mark.parametrize("changes", [{}, {"training": True}, {"age": 15.5}, {"age": 120}])
def test_the_ledgers_row_recomputes_to_the_same_numbers(
    client: httpx.Client, database: Engine, body: JsonObject, changes: JsonObject
) -> None:
    body["driver"] |= changes
    document = ask(client, body, effective_date="2026-09-30", reference="r")
    row = stored(database, document["quote_id"])
    with database.connect() as connection:
        version = get(connection, row.version)
        plan = load_plan(connection, row.version)
        tariff = in_force(tariffs(connection), row.effective_date)
    features = PolicyFeatures(**{name: float(getattr(row, name)) for name in FEATURES})
    assessment = Pricer(plan).assess(features, row.effective_date)
    premium = tariff.premium(assessment.price_probabilities)
    assert (row.channel, row.reference, row.effective_date) == ("quote", "r", date(2026, 9, 30))
    assert (row.digest, row.tariff) == (version.digest, tariff.name)
    assert (row.predictor, row.risk_class) == (assessment.predictor, assessment.risk_class)
    assert (row.p_low, row.p_medium, row.p_high) == assessment.price_probabilities
    assert row.expected_risk == (assessment.estimate.expected_risk if assessment.estimate else None)
    assert (row.net, row.insurance_tax, row.gross) == (premium.net, premium.insurance_tax, premium.gross)
    assert (str(row.net), str(row.gross)) == (document["premium"]["net"], document["premium"]["gross"])
    assert row.quoted_at == datetime.fromisoformat(document["quoted_at"])
    if document["probabilities"]:
        assert row.p_low == round(document["probabilities"]["low"] * PROBABILITY_UNITS)


def test_the_tariff_in_force_on_the_effective_date_prices_the_quote(
    client: httpx.Client, database: Engine, body: JsonObject
) -> None:
    body["driver"]["age"] = 120  # the rules: all probability on one class
    with database.begin() as connection:
        connection.execute(
            text("INSERT INTO motorisk.tariff VALUES ('dearer', '2090-01-01', 1000, 0.7, 1, 1.6, 0.19, 'EUR')")
        )
    deadline = time.monotonic() + 5
    while (late := ask(client, body, effective_date="2090-01-01"))["tariff"] != "dearer":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1.5)  # the other worker looks too
    for _ in range(4):
        assert ask(client, body, effective_date="2090-01-01")["premium"]["net"] == "1600.00"
        assert ask(client, body, effective_date="2089-12-31")["premium"]["net"] == "960.00"
    assert client.get(f"/v1/quotes/{late['quote_id']}").json() == late


@pytest.mark.bad_input("HTTP request")
def test_there_is_no_price_before_the_first_tariff(client: httpx.Client, body: JsonObject) -> None:
    response = client.post("/v1/quotes", json=body | {"effective_date": "1999-12-31"})
    assert response.status_code == 422
    assert response.json()["errors"] == [
        {"field": "effective_date", "problem": "no tariff is in force on 1999-12-31"},
    ]


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("name", ["00000000-0000-4000-8000-000000000000", "1", "x", "%00", "' OR 1=1"])
def test_an_unknown_or_malformed_id_is_not_found(client: httpx.Client, name: str) -> None:
    response = client.get(f"/v1/quotes/{name}")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"


def test_a_prediction_of_the_older_api_is_no_quote(client: httpx.Client, database: Engine, body: JsonObject) -> None:
    client.post("/predict/", json=body | {"reference": "only a prediction"}).raise_for_status()
    with database.connect() as connection:
        quote_id = connection.scalar(select(quote.c.quote_id).where(quote.c.reference == "only a prediction"))
    assert client.get(f"/v1/quotes/{quote_id}").status_code == 404


def test_quotes_go_into_this_months_partition(client: httpx.Client, database: Engine, body: JsonObject) -> None:
    document = ask(client, body)
    with database.connect() as connection:
        partition = connection.scalar(
            text("SELECT tableoid::regclass::text FROM motorisk.quote WHERE quote_id = :quote_id"),
            {"quote_id": document["quote_id"]},
        )
    assert partition == f"motorisk.quote_{document['quoted_at'][:7].replace('-', '_')}"
