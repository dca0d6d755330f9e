"""Export policies and their outcomes for people who must not know whose they are."""

import csv
import gzip
import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from psycopg2 import sql
from sqlalchemy import Engine, func, select

from motorisk.domain.policy import FEATURES
from motorisk.domain.pseudonym import key_mark, pseudonym
from motorisk.errors import NotEnoughData
from motorisk.warehouse.copying import copy_out
from motorisk.warehouse.tables import policy

TOLD_EVERY = 10_000

_POLICIES = sql.SQL(
    """
    SELECT p.policy_id, p.customer_id, p.effective_date, p.expiry_date, {features}, o.risk, o.observed_on
    FROM insurance.policy p
    LEFT JOIN insurance.outcome o ON o.policy_id = p.policy_id AND o.observed_on <= %(as_of)s
    WHERE p.effective_date <= %(as_of)s
    ORDER BY p.effective_date, md5(p.policy_id)
    """
).format(features=sql.SQL(", ").join(sql.Identifier("p", name) for name in FEATURES))
COLUMNS = ("policy", "customer", "effective_date", "expiry_date", *FEATURES, "risk", "observed_on")


@dataclass(frozen=True, slots=True)
class Export:
    """A file of `rows` policies as known on a date; `key` tells which key its pseudonyms are of."""

    file: Path
    as_of: date
    rows: int
    key: str


def export_policies(
    engine: Engine,
    file: Path,
    as_of: date,
    key: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Export:
    """Write a CSV file (`.gz`: compressed), whole or not at all: policies begun and outcomes observed by a date.

    Ids are pseudonyms; a policy without a customer has none. `NotEnoughData` where no policy had begun.
    """
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    with engine.connect() as connection, tempfile.TemporaryFile() as content:
        total = connection.scalar(select(func.count()).where(policy.c.effective_date <= as_of)) or 0
        if not total:
            raise NotEnoughData(f"no policy had begun by {as_of}: there is nothing to export")
        rows = copy_out(connection, _POLICIES, {"as_of": as_of}, content)
        content.seek(0)
        try:
            with (
                gzip.open(part, "wt", encoding="utf-8", newline="")
                if file.suffix == ".gz"
                else part.open("w", encoding="utf-8", newline="")
            ) as out:
                writer = csv.writer(out)
                writer.writerow(COLUMNS)
                for done, row in enumerate(csv.reader(io.TextIOWrapper(content, "utf-8", newline="")), start=1):
                    policy_id, customer_id, *rest = row
                    customer = pseudonym(key, "customer", customer_id) if customer_id else ""
                    writer.writerow([pseudonym(key, "policy", policy_id), customer, *rest])
                    if not done % TOLD_EVERY:
                        progress(done, total)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    return Export(file, as_of, rows, key_mark(key))
