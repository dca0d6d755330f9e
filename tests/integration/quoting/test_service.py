"""Quoting from the question to the row and back, with and without Postgres."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, select
from tests.integration.quoting.entries import FEATURES

from motorisk.domain.policy import FEATURES as ALL_FEATURES
from motorisk.errors import InvalidData, KeyReused, UnknownQuote
from motorisk.quoting.backlog import Backlog
from motorisk.quoting.champion import Champion
from motorisk.quoting.database import Database
from motorisk.quoting.ledger import LedgerSession
from motorisk.quoting.quote import Quote
from motorisk.quoting.service import Asked, EffectiveDateRefused, IdempotencyKey, QuoteService, usual_changes
from motorisk.registry import transitions
from motorisk.warehouse.tables import quote as quote_table

KEY = IdempotencyKey("broker", "k")


@pytest.fixture
def version(warehouse: Engine, offer: Callable[..., int], champion: Champion) -> int:
    """Served."""
    offered = offer(warehouse, 1.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, offered, by="uma")
    champion.refresh()
    return offered


@pytest.mark.usefixtures("version")
def test_a_quote_is_read_back_as_it_was_made(service: QuoteService) -> None:
    made = service.quote(Asked(FEATURES, None, "R 1"), language="de", client="broker")
    assert made.priced.effective_date == datetime.now(UTC).date()
    assert (made.priced.reference, made.recorded, made.is_repeated) == ("R 1", "ledger", False)
    assert service.find(made.priced.quote_id, language="de", client="broker") == made
    assert service.find(made.priced.quote_id, language="de") == made
    for unknown, client in ((made.priced.quote_id, "another"), (uuid4(), None)):
        with pytest.raises(UnknownQuote, match=str(unknown)):
            service.find(unknown, client=client)


@pytest.mark.parametrize("is_away", [False, True])
@pytest.mark.usefixtures("version")
def test_a_key_has_one_quote_wherever_it_is_kept(
    service: QuoteService, database: Database, session: LedgerSession, backlog: Backlog, is_away: bool
) -> None:
    database.is_away = is_away
    asked = Asked(FEATURES)
    made = service.quote(asked, key=KEY)
    again = service.quote(asked, key=KEY)
    assert made.recorded == ("journal" if is_away else "ledger")
    assert again == made._replace(is_repeated=True)
    assert service.find(made.priced.quote_id) == made
    with pytest.raises(KeyReused):
        service.quote(asked._replace(reference="another"), key=KEY)
    assert service.quote(asked, key=KEY._replace(client="another")).priced.quote_id != made.priced.quote_id
    database.came_back()
    backlog.carry(session)
    assert service.quote(asked, key=KEY) == made._replace(is_repeated=True, recorded="ledger")


def test_readiness_tells_where_quotes_go(
    service: QuoteService, database: Database, session: LedgerSession, backlog: Backlog, version: int
) -> None:
    ready = service.readiness()
    assert (ready.status, ready.model.version.version, ready.journal_pending, ready.reason) == (
        "ready",
        version,
        0,
        None,
    )
    database.went_away()
    assert service.quote(Asked(FEATURES)).recorded == "journal"
    away = service.readiness()
    assert (away.status, away.journal_pending) == ("degraded", 1)
    assert "go into the journal" in str(away.reason)
    database.came_back()
    assert "on their way into the ledger" in str(service.readiness().reason)
    backlog.carry(session)
    assert service.readiness() == ready


@pytest.mark.usefixtures("version")
def test_of_many_each_has_a_price_or_a_reason(service: QuoteService, warehouse: Engine) -> None:
    first, refused, last = service.quote_many(
        [Asked(FEATURES), Asked(FEATURES, date(1900, 1, 1)), Asked(FEATURES._replace(age=60.0))], client="broker"
    )
    assert isinstance(refused, EffectiveDateRefused)
    assert isinstance(refused, InvalidData)
    assert refused.errors[0]["field"] == "effective_date"
    assert isinstance(first, Quote)
    assert isinstance(last, Quote)
    assert (first.priced.features.age, last.priced.features.age) == (35.0, 60.0)
    with warehouse.connect() as connection:
        rows = connection.execute(select(quote_table)).all()
    assert {(row.quote_id, row.client, row.channel) for row in rows} == {
        (made.priced.quote_id, "broker", "quote") for made in (first, last)
    }


@pytest.mark.usefixtures("version")
def test_what_if_prices_each_change_and_stores_nothing(service: QuoteService, warehouse: Engine) -> None:
    asked, pricer = Asked(FEATURES), service.model().pricer
    now, changes = service.what_if(asked, None)
    assert [(change.feature, change.value) for change in changes] == usual_changes(pricer, FEATURES)
    assert {change.feature for change in changes} == set(ALL_FEATURES)
    assert [change.value for change in changes if change.feature == "training"] == [1.0]
    assert [change.value for change in changes if change.feature == "miles"] == [0.0, 25.0, 50.0, 75.0, 100.0]
    (one,) = service.what_if(asked, [("age", 60.0)])[1]
    assert one.quote.priced.premium == service.quote(Asked(FEATURES._replace(age=60.0))).priced.premium
    assert (now.recorded, one.quote.recorded) == (None, None)
    with warehouse.connect() as connection:
        assert len(connection.execute(select(quote_table)).all()) == 1


def test_a_quote_is_explained_by_the_version_that_priced_it(
    service: QuoteService, champion: Champion, warehouse: Engine, offer: Any, version: int
) -> None:
    made = service.quote(Asked(FEATURES))
    later = offer(warehouse, 2.0)
    with warehouse.begin() as connection:
        transitions.approve(connection, later, by="uma")
    champion.refresh()
    assert service.model().version.version == later
    assert made.priced.version == version
    assert service.find(made.priced.quote_id) == made


@pytest.mark.usefixtures("version")
def test_an_input_is_kept_for_monitoring_and_is_no_quote(service: QuoteService, warehouse: Engine) -> None:
    service.record_input(Asked(FEATURES, date(2026, 2, 3), "R 2"), client="broker")
    service._recorder.flush()
    with warehouse.connect() as connection:
        row = connection.execute(select(quote_table)).one()
    assert (row.channel, row.reference, row.client, row.effective_date, row.version) == (
        "mock",
        "R 2",
        "broker",
        date(2026, 2, 3),
        None,
    )
    with pytest.raises(UnknownQuote):
        service.find(row.quote_id)
