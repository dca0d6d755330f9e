"""A quote as the ledger's row, written and read as a line of Postgres' COPY (text format).

One form for both ways into the ledger: lines go to Postgres many at a time, and into the journal while it is away.
"""

import re
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.risk import ClassProbabilities, RiskClass
from motorisk.domain.tariff import Premium
from motorisk.quoting.quote import CHANNELS, Channel, PricedQuote

COLUMNS = (
    "quote_id",
    "quoted_at",
    "channel",
    "reference",
    "effective_date",
    *FEATURES,
    "version",
    "digest",
    "tariff",
    "predictor",
    "risk_class",
    "expected_risk",
    "p_low",
    "p_medium",
    "p_high",
    "net",
    "insurance_tax",
    "gross",
    "client",
)
"""The columns of a line, in its order; a test compares them with the table's."""

_NULL = "\\N"
_CHANNELS: dict[str, Channel] = {channel: channel for channel in CHANNELS}
_INPUT_COLUMNS = COLUMNS.index("version")
_UNPRICED = "\t".join([_NULL] * (COLUMNS.index("client") - _INPUT_COLUMNS))
_ESCAPED = re.compile(r"\\(.)")
_UNESCAPES = {"t": "\t", "n": "\n", "r": "\r"}
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _text(value: str | None) -> str:
    return _NULL if value is None else value.translate(_ESCAPES)


def _input(
    quote_id: UUID, quoted_at: datetime, channel: str, reference: str | None, effective: date, features: PolicyFeatures
) -> str:
    training, age, emergency_braking, braking_distance, power, miles = features
    return (
        f"{quote_id}\t{quoted_at.isoformat()}\t{channel}\t{_NULL if reference is None else _text(reference)}\t"
        f"{effective.isoformat()}\t{'t' if training else 'f'}\t{age!r}\t{'t' if emergency_braking else 'f'}\t"
        f"{braking_distance!r}\t{power!r}\t{miles!r}"
    )


def priced_line(priced: PricedQuote) -> str:
    """A quote's line: everything from which its price can be computed again."""
    low, medium, high = priced.probabilities
    premium = priced.premium
    risk = _NULL if priced.expected_risk is None else repr(priced.expected_risk)
    asked = _input(
        priced.quote_id,
        priced.quoted_at,
        priced.channel,
        priced.reference,
        priced.effective_date,
        priced.features,
    )
    return (
        f"{asked}\t{priced.version}\t{priced.digest}\t{_text(priced.tariff)}\t{priced.predictor}\t"
        f"{priced.risk_class.value}\t{risk}\t{low}\t{medium}\t{high}\t"
        f"{premium.net}\t{premium.insurance_tax}\t{premium.gross}\t{_text(priced.client)}"
    )


def input_line(
    quote_id: UUID,
    recorded_at: datetime,
    effective: date,
    features: PolicyFeatures,
    reference: str | None,
    client: str | None = None,
) -> str:
    """The line of an input that nobody priced, kept for drift monitoring alone."""
    asked = _input(quote_id, recorded_at, "mock", reference, effective, features)
    return f"{asked}\t{_UNPRICED}\t{_text(client)}"


def completed(line: str) -> str:
    """A line with all of today's columns: those that journals hold from before clients had names lack the last."""
    return line if line.count("\t") == len(COLUMNS) - 1 else f"{line}\t{_NULL}"


def _unescaped(field: str) -> str:
    return _ESCAPED.sub(lambda found: _UNESCAPES.get(found[1], found[1]), field)


def channel_of(line: str) -> str:
    """The channel of any line: one of `CHANNELS`, or `mock`."""
    return line.split("\t", 3)[2]


def priced_quote(line: str) -> PricedQuote:
    """The quote of a line that `priced_line` wrote."""
    fields = dict(zip(COLUMNS, line.split("\t"), strict=True))
    flags = {"t": 1.0, "f": 0.0}
    features = {name: flags[fields[name]] if FEATURES[name].is_flag else float(fields[name]) for name in FEATURES}
    channel, predictor = _CHANNELS.get(fields["channel"]), fields["predictor"]
    if channel is None or predictor not in {"model", "rules"}:
        raise ValueError("the line is no quote's")
    return PricedQuote(
        quote_id=UUID(fields["quote_id"]),
        quoted_at=datetime.fromisoformat(fields["quoted_at"]),
        channel=channel,
        reference=None if fields["reference"] == _NULL else _unescaped(fields["reference"]),
        effective_date=date.fromisoformat(fields["effective_date"]),
        features=PolicyFeatures(**features),
        version=int(fields["version"]),
        digest=fields["digest"],
        tariff=_unescaped(fields["tariff"]),
        predictor="model" if predictor == "model" else "rules",
        risk_class=RiskClass(fields["risk_class"]),
        expected_risk=None if fields["expected_risk"] == _NULL else float(fields["expected_risk"]),
        probabilities=ClassProbabilities(*(int(fields[name]) for name in ("p_low", "p_medium", "p_high"))),
        premium=Premium(*(Decimal(fields[name]) for name in ("net", "insurance_tax", "gross"))),
        client=None if fields["client"] == _NULL else _unescaped(fields["client"]),
    )
