"""The quote service's pure parts: pricing, reasons, documents, strict JSON, problems."""

import json
import math
import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from werkzeug.exceptions import BadRequest

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.rating_plan import FlagTerm, NumberTerm, PiecewiseCubic, RatingPlan, Support, plan_digest
from motorisk.domain.risk import RiskClass
from motorisk.domain.tariff import Tariff
from motorisk.errors import NoTariff
from motorisk.quoting import refresher
from motorisk.quoting.champion import ServedModel
from motorisk.quoting.pricing import Pricer
from motorisk.quoting.quote import PricedQuote, explain
from motorisk.quoting.reasons import average_risk
from motorisk.quoting.service import Asked, price
from motorisk.quoting.wording import LANGUAGES
from motorisk.registry.versions import ModelVersion
from motorisk.settings import Settings
from motorisk_web.app import create_app
from motorisk_web.documents import model_document, prediction_document, quote_document
from motorisk_web.problems import MEDIA_TYPE
from motorisk_web.schemas import ModelDocument, QuoteDocument, QuoteRequest, WorkshopPrediction
from motorisk_web.strict_json import parse_json

AS_OF = date(2026, 1, 1)


def priced_for(
    model: ServedModel, tariffs: list[Tariff], features: PolicyFeatures, day: date | None = None
) -> PricedQuote:
    return price(model, tariffs, Asked(features, day))[0]


def line(at: float, slope: float) -> PiecewiseCubic:
    return PiecewiseCubic(breakpoints=(at,), coefficients=((0.0, slope, 0.0, 0.0), (0.0, slope, 0.0, 0.0)))


@pytest.fixture(scope="module")
def plan() -> RatingPlan:
    return RatingPlan(
        candidate="by hand",
        as_of=AS_OF,
        snapshot_digest="5" * 64,
        intercept=1.5,
        spread=0.5,
        class_bounds=(1.0, 3.0),
        trend_months=(0.0, 24.0),
        terms={
            "training": FlagTerm(level=(0.0, -3.0), trend=(0.0, 0.1), average=-0.6),
            "age": NumberTerm(level=line(35.0, 0.05), trend=line(35.0, -0.002), average=0.2),
            "emergency_braking": FlagTerm(level=(0.0, -1.0), average=-0.4),
            "braking_distance": NumberTerm(level=line(40.0, 0.2), average=0.0),
            "power": NumberTerm(level=line(100.0, 0.02), average=0.3),
            "miles": NumberTerm(level=line(50.0, 0.025), average=0.1),
        },
        support={
            "training": Support(0.0, 1.0),
            "age": Support(18.0, 90.0),
            "emergency_braking": Support(0.0, 1.0),
            "braking_distance": Support(25.0, 55.0),
            "power": Support(40.0, 240.0),
            "miles": Support(5.0, 150.0),
        },
    )


@pytest.fixture(scope="module")
def model(plan: RatingPlan) -> ServedModel:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    version = ModelVersion(
        version=7,
        state="approved",
        candidate=plan.candidate,
        as_of=plan.as_of,
        digest=plan_digest(plan.to_json()),
        snapshot_digest=plan.snapshot_digest,
        rows=1500,
        metrics={"accuracy": 0.9},
        gates=(),
        parameters={},
        provenance={},
        trained_by="tess",
        trained_at=moment,
        approved_by="uma",
        approved_at=moment,
    )
    return ServedModel(version, Pricer(plan))


@pytest.fixture(scope="module")
def tariffs() -> list[Tariff]:
    factors = {RiskClass.LOW: Decimal("0.7"), RiskClass.MEDIUM: Decimal(1), RiskClass.HIGH: Decimal("1.6")}
    old = Tariff("old", date(2020, 1, 1), Decimal(600), factors, Decimal("0.19"))
    new = Tariff("new", date(2026, 7, 1), Decimal(800), factors, Decimal("0.19"), currency="CHF")
    return [old, new]


USUAL = PolicyFeatures(training=0.0, age=40.5, emergency_braking=1.0, braking_distance=42.0, power=110.0, miles=30.0)

possible = st.builds(
    PolicyFeatures,
    training=st.sampled_from([0.0, 1.0]),
    age=st.floats(15, 120),
    emergency_braking=st.sampled_from([0.0, 1.0]),
    braking_distance=st.floats(0, 200, exclude_min=True),
    power=st.floats(0, 1000, exclude_min=True),
    miles=st.floats(0, 500),
)
dates = st.dates(date(2020, 1, 1), date(2199, 12, 31))


@given(features=possible, day=dates)
def test_reasons_sum_to_the_expected_risk_less_the_average(
    model: ServedModel, tariffs: list[Tariff], features: PolicyFeatures, day: date
) -> None:
    quote = explain(priced_for(model, tariffs, features, day), model.pricer, "EUR")
    if quote.priced.expected_risk is None:
        assert quote.reasons == ()
        assert quote.fallback
        assert len(quote.warnings) == len(quote.fallback)
        return
    assert quote.fallback == ()
    plan = model.pricer.plan
    average = average_risk(plan, plan.trend_time(day))
    total = math.fsum(reason.contribution for reason in quote.reasons)
    assert total == pytest.approx(quote.priced.expected_risk - average, abs=1e-9)
    sizes = [abs(reason.contribution) for reason in quote.reasons]
    assert sizes == sorted(sizes, reverse=True)


@given(features=possible, day=dates)
def test_documents_have_the_described_form_and_are_json(
    model: ServedModel, tariffs: list[Tariff], features: PolicyFeatures, day: date
) -> None:
    quote = explain(priced_for(model, tariffs, features, day), model.pricer, "EUR")
    for document, described in (
        (quote_document(quote), QuoteDocument),
        (prediction_document(quote.priced), WorkshopPrediction),
        (model_document(model), ModelDocument),
    ):
        described.model_validate_json(json.dumps(document, allow_nan=False), extra="forbid")


def test_reasons_read_as_sentences_for_customers(model: ServedModel, tariffs: list[Tariff]) -> None:
    features = PolicyFeatures(
        training=1.0, age=40.0, emergency_braking=0.0, braking_distance=41.5, power=115.0, miles=30.0
    )
    quote = explain(priced_for(model, tariffs, features, AS_OF), model.pricer, "EUR")
    average = "the average of our portfolio."
    assert [reason.text for reason in quote.reasons] == [
        f"Having taken a driver safety training lowers the risk strongly against {average}",
        f"Driving 30 thousand miles a year lowers the risk noticeably against {average}",
        f"A vehicle without emergency braking raises the risk noticeably against {average}",
        f"A braking distance of 41.5 metres from 100 km/h raises the risk noticeably against {average}",
        f"A driver's age of 40 years raises the risk slightly against {average}",
        f"An engine power of 115 kW is about as risky as {average}",
    ]


def test_reasons_come_in_german_with_the_same_numbers(model: ServedModel, tariffs: list[Tariff]) -> None:
    features = PolicyFeatures(
        training=1.0, age=40.0, emergency_braking=0.0, braking_distance=41.5, power=115.0, miles=30.0
    )
    priced = priced_for(model, tariffs, features, AS_OF)
    english = explain(priced, model.pricer, "EUR", language="en")
    german = explain(priced, model.pricer, "EUR", language="de")
    assert [reason[:2] for reason in german.reasons] == [reason[:2] for reason in english.reasons]
    average = "dem Durchschnitt unseres Bestands."
    assert [reason.text for reason in german.reasons] == [
        f"Ein Fahrsicherheitstraining senkt das Risiko stark gegenüber {average}",
        f"Eine Fahrleistung von 30 tausend Meilen im Jahr senkt das Risiko spürbar gegenüber {average}",
        f"Ein Fahrzeug ohne Notbremsassistent erhöht das Risiko spürbar gegenüber {average}",
        f"Ein Bremsweg von 41,5 Metern aus 100 km/h erhöht das Risiko spürbar gegenüber {average}",
        f"Ein Alter von 40 Jahren erhöht das Risiko leicht gegenüber {average}",
        f"Eine Motorleistung von 115 kW entspricht beim Risiko etwa {average}",
    ]


def test_every_feature_has_its_words_in_every_language(model: ServedModel, tariffs: list[Tariff]) -> None:
    outside = PolicyFeatures(
        training=0.0, age=110.5, emergency_braking=0.0, braking_distance=99.5, power=999.0, miles=400.0
    )
    priced = priced_for(model, tariffs, outside, AS_OF)
    for language in LANGUAGES:
        warnings = explain(priced, model.pricer, "EUR", language=language).warnings
        assert len(set(warnings)) == 4
        assert all(warning.endswith(".") and "{" not in warning for warning in warnings)
    assert "110,5 Jahre" in explain(priced, model.pricer, "EUR", language="de").warnings[0]


def test_a_trend_is_part_of_its_features_reason(model: ServedModel, tariffs: list[Tariff]) -> None:
    def share(day: date) -> float:
        quote = explain(priced_for(model, tariffs, USUAL._replace(training=1.0), day), model.pricer, "EUR")
        return next(reason.contribution for reason in quote.reasons if reason.feature == "training")

    assert share(date(2027, 1, 1)) - share(AS_OF) == pytest.approx(1.2, abs=0.01)


def test_the_tariff_of_the_effective_date_prices(model: ServedModel, tariffs: list[Tariff]) -> None:
    assert priced_for(model, tariffs, USUAL, date(2026, 6, 30)).tariff == "old"
    assert priced_for(model, tariffs, USUAL, date(2026, 7, 1)).tariff == "new"
    with pytest.raises(NoTariff):
        priced_for(model, tariffs, USUAL, date(2019, 12, 31))


def test_explaining_a_priced_quote_twice_gives_the_same(model: ServedModel, tariffs: list[Tariff]) -> None:
    priced = priced_for(model, tariffs, USUAL, AS_OF)
    assert explain(priced, Pricer(model.pricer.plan), "EUR") == explain(priced, model.pricer, "EUR")


def test_a_late_effective_date_is_warned_of_only_where_the_model_has_trends(
    model: ServedModel, tariffs: list[Tariff]
) -> None:
    priced = priced_for(model, tariffs, USUAL, date(2030, 1, 1))
    assert "24 months" in explain(priced, model.pricer, "EUR").warnings[0]
    still = {name: term.model_copy(update={"trend": None}) for name, term in model.pricer.plan.terms.items()}
    constant = Pricer(model.pricer.plan.model_copy(update={"terms": still}))
    assert explain(priced, constant, "EUR").warnings == ()


def test_a_requests_features_come_in_the_order_of_the_domain() -> None:
    request = QuoteRequest.model_validate(
        {
            "driver": {"training": True, "age": 1e2, "miles": 3},
            "vehicle": {"emergency_braking": 0, "braking_distance": 4.5, "power": 6},
        }
    )
    assert request.asked().features == PolicyFeatures(1.0, 100.0, 0.0, 4.5, 6.0, 3.0)


def test_every_feature_is_asked_for_where_the_domain_has_it() -> None:
    parts: dict[str, Any] = {name: field.annotation for name, field in QuoteRequest.model_fields.items()}
    for part in ("driver", "vehicle"):
        assert set(parts[part].model_fields) == {name for name, feature in FEATURES.items() if feature.part == part}


@pytest.mark.bad_input("HTTP request")
@pytest.mark.parametrize("content", [b'{"a": 1, "a": 1}', b'[{"a": {"b": 1, "c": 2, "b": null}}]'])
def test_a_key_given_twice_is_refused_at_any_depth(content: bytes) -> None:
    with pytest.raises(BadRequest, match="appears more than once"):
        parse_json(content)


@pytest.mark.bad_input("HTTP request")
@given(content=st.binary() | st.text().map(str.encode))
def test_bytes_are_json_or_a_bad_request(content: bytes) -> None:
    try:
        parse_json(content)
    except BadRequest:
        return
    json.loads(content)


def test_numbers_beyond_a_floats_range_are_infinite() -> None:
    assert parse_json(b"[1e999, -1e999]") == [math.inf, -math.inf]
    assert parse_json(b"1" * 5000) == math.inf
    assert parse_json(b"12345678901234567890") == 12345678901234567890


@pytest.fixture
def app(tmp_path: Any) -> Any:
    secret = SecretStr("postgresql://motorisk:top-secret@localhost:1/motorisk")
    return create_app(Settings(home=tmp_path, database_url=secret))


def test_an_unexpected_error_is_logged_and_told_without_its_content(app: Any, caplog: Any) -> None:
    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("top-secret detail")

    response = app.test_client().get("/broken")
    assert (response.status_code, response.content_type) == (500, MEDIA_TYPE)
    assert "top-secret" not in response.text
    assert "RuntimeError" not in response.text
    logged = next(record for record in caplog.records if response.json["instance"] in record.message)
    assert "top-secret detail" in str(logged.exc_info[1])


def test_the_app_needs_no_database_to_be_built_and_asks_for_patience(app: Any) -> None:
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    body = {
        "driver": {"training": False, "age": 35, "miles": 45.9},
        "vehicle": {"emergency_braking": False, "braking_distance": 45.0, "power": 90.0},
    }
    for path in ("/v1/quotes", "/predict"):
        response = client.post(path, json=body)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


@pytest.mark.fault("Postgres stopped")
def test_the_refresher_goes_on_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    enough = threading.Event()

    class Failing:
        calls = 0
        failure = None

        is_away = False

        def refresh(self) -> bool:
            self.calls += 1
            if self.calls > 5:
                enough.set()
            if self.calls > 1:
                raise RuntimeError("unforeseen")
            return True

        def remember(self) -> None:
            self.serving = SimpleNamespace(model=None)

        def carry(self, session: object) -> None:
            pass

        def ensure_partitions(self) -> None:
            raise RuntimeError("no partitions")

        forget_old_keys = forget_unmeasured = ensure_partitions

    monkeypatch.setattr(refresher, "REFRESH_SECONDS", 0.001)
    failing: Any = Failing()
    thread = refresher.Refresher(failing, failing, failing, failing, failing, failing)
    thread.start()
    assert enough.wait(5)
    thread.stop()
