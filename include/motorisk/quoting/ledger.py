"""The ledger of quotes: what was priced, from what, by which version. It only grows."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, insert, select, text

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.risk import ClassProbabilities, RiskClass
from motorisk.domain.tariff import Premium
from motorisk.errors import UnknownQuote
from motorisk.quoting.database import Database
from motorisk.quoting.quote import PricedQuote
from motorisk.warehouse.tables import quote

LOCK_TIMEOUT = "2s"
"""Making a partition locks the ledger: a long report must not make quotes wait behind it for longer."""

_insert = insert(quote)


class Ledger:
    """Stores quotes and reads them back; `DatabaseUnavailable` where Postgres does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, priced: PricedQuote) -> None:
        """Append a quote with everything from which its price can be computed again."""
        row = {
            **_input_columns(priced.quote_id, priced.quoted_at, priced.effective_date, priced.features),
            "channel": priced.channel,
            "reference": priced.reference,
            "version": priced.version,
            "digest": priced.digest,
            "tariff": priced.tariff,
            "predictor": priced.predictor,
            "risk_class": priced.risk_class.value,
            "expected_risk": priced.expected_risk,
            "p_low": priced.probabilities.low,
            "p_medium": priced.probabilities.medium,
            "p_high": priced.probabilities.high,
            "net": priced.premium.net,
            "insurance_tax": priced.premium.insurance_tax,
            "gross": priced.premium.gross,
        }
        with self._database.statements() as connection:
            connection.execute(_insert, row)

    def record_input(
        self, quote_id: UUID, recorded_at: datetime, effective: date, features: PolicyFeatures, reference: str | None
    ) -> None:
        """Append an input that nobody priced, for drift monitoring alone."""
        row = _input_columns(quote_id, recorded_at, effective, features) | {"channel": "mock", "reference": reference}
        with self._database.statements() as connection:
            connection.execute(_insert, row)

    def find(self, quote_id: UUID) -> PricedQuote:
        """A stored quote; `UnknownQuote` for any other id, those of recorded inputs and predictions included."""
        with self._database.statements() as connection:
            row = connection.execute(
                select(quote).where(quote.c.quote_id == quote_id, quote.c.channel == "quote")
            ).one_or_none()
        if row is None:
            raise UnknownQuote(f"there is no quote {quote_id}")
        return _from_row(row)

    def ensure_partitions(self) -> None:
        """Make this month's and the next month's partitions unless they are there."""
        with self._database.transaction() as connection:
            connection.execute(text("SELECT set_config('lock_timeout', :timeout, true)"), {"timeout": LOCK_TIMEOUT})
            connection.execute(select(func.motorisk.ensure_quote_partitions(func.current_date())))


def _input_columns(quote_id: UUID, quoted_at: datetime, effective: date, features: PolicyFeatures) -> dict[str, Any]:
    return {
        "quote_id": quote_id,
        "quoted_at": quoted_at,
        "effective_date": effective,
        "training": bool(features.training),
        "age": features.age,
        "emergency_braking": bool(features.emergency_braking),
        "braking_distance": features.braking_distance,
        "power": features.power,
        "miles": features.miles,
    }


def _from_row(row: Row[Any]) -> PricedQuote:
    return PricedQuote(
        quote_id=row.quote_id,
        quoted_at=row.quoted_at,
        channel=row.channel,
        reference=row.reference,
        effective_date=row.effective_date,
        features=PolicyFeatures(**{name: float(getattr(row, name)) for name in FEATURES}),
        version=row.version,
        digest=row.digest,
        tariff=row.tariff,
        predictor=row.predictor,
        risk_class=RiskClass(row.risk_class),
        expected_risk=row.expected_risk,
        probabilities=ClassProbabilities(row.p_low, row.p_medium, row.p_high),
        premium=Premium(net=row.net, insurance_tax=row.insurance_tax, gross=row.gross),
    )
