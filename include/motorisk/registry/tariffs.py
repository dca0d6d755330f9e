"""Tariffs, by the date from which they are in force."""

from datetime import date

from sqlalchemy import Connection, select

from motorisk.domain.risk import RiskClass
from motorisk.domain.tariff import Tariff
from motorisk.errors import NoTariff
from motorisk.warehouse.tables import tariff


def tariffs(connection: Connection) -> list[Tariff]:
    """All tariffs, the earliest first."""
    return [
        Tariff(
            name=row.name,
            valid_from=row.valid_from,
            base_premium=row.base_premium,
            factors={
                RiskClass.LOW: row.factor_low,
                RiskClass.MEDIUM: row.factor_medium,
                RiskClass.HIGH: row.factor_high,
            },
            tax_rate=row.tax_rate,
            currency=row.currency,
        )
        for row in connection.execute(select(tariff).order_by(tariff.c.valid_from))
    ]


def in_force(known: list[Tariff], day: date) -> Tariff:
    """The tariff in force on a day; `NoTariff` before the first."""
    for candidate in reversed(known):
        if candidate.valid_from <= day:
            return candidate
    raise NoTariff(f"no tariff is in force on {day}")
