"""Domain values as the JSON objects that `motorisk_web.schemas` describes.

Built by hand: a pydantic model an answer would cost more than pricing does. A test compares the two.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from motorisk.domain.calendar import DAYS_A_MONTH
from motorisk.domain.policy import FEATURES
from motorisk.domain.rating_plan import RatingPlan
from motorisk.domain.risk import PROBABILITY_UNITS
from motorisk.domain.tariff import Premium
from motorisk.quoting.champion import ServedModel
from motorisk.quoting.quote import PricedQuote, Quote
from motorisk.quoting.service import Change, Readiness

Document = dict[str, Any]


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _premium(premium: Premium, currency: str) -> Document:
    return {
        "net": str(premium.net),
        "insurance_tax": str(premium.insurance_tax),
        "gross": str(premium.gross),
        "currency": currency,
        "period": "year",
    }


def _price(quote: Quote) -> Document:
    """The members that a `QuoteDocument` and a `PriceDocument` share."""
    priced = quote.priced
    by_model = priced.predictor == "model"
    low, medium, high = priced.probabilities
    return {
        "risk_class": priced.risk_class.value,
        "probabilities": {
            "low": low / PROBABILITY_UNITS,
            "medium": medium / PROBABILITY_UNITS,
            "high": high / PROBABILITY_UNITS,
        }
        if by_model
        else None,
        "expected_risk": priced.expected_risk,
        "premium": _premium(priced.premium, quote.currency),
        "reasons": [
            {"feature": feature, "contribution": contribution, "text": text}
            for feature, contribution, text in quote.reasons
        ],
        "predictor": priced.predictor,
        "fallback": None
        if by_model
        else [{"feature": item.feature, "value": item.value, "support": list(item.support)} for item in quote.fallback],
        "model_version": priced.version,
        "tariff": priced.tariff,
        "effective_date": priced.effective_date.isoformat(),
        "warnings": quote.warnings,
    }


def quote_document(quote: Quote) -> Document:
    """A `QuoteDocument`."""
    priced = quote.priced
    document = {"quote_id": str(priced.quote_id), **_price(quote)}
    document["reference"] = priced.reference
    document["quoted_at"] = _instant(priced.quoted_at)
    document["valid_until"] = _instant(priced.valid_until)
    document["recorded"] = quote.recorded
    return document


def what_if_document(quote: Quote, changes: Sequence[Change]) -> Document:
    """A `WhatIfDocument`."""
    present = quote.priced.premium.gross
    return {
        "price": _price(quote),
        "changes": [
            {
                "feature": change.feature,
                "value": bool(change.value) if FEATURES[change.feature].is_flag else change.value,
                "risk_class": change.quote.priced.risk_class.value,
                "predictor": change.quote.priced.predictor,
                "expected_risk": change.quote.priced.expected_risk,
                "premium": _premium(change.quote.priced.premium, change.quote.currency),
                "gross_difference": str(change.quote.priced.premium.gross - present),
                "warnings": change.quote.warnings,
            }
            for change in changes
        ],
    }


def prediction_document(priced: PricedQuote) -> Document:
    """A `WorkshopPrediction`."""
    probabilities = priced.probabilities.as_floats()
    return {
        "prediction": priced.risk_class.name,
        "probabilities": {name.name: probabilities[name] for name in reversed(probabilities)}
        if priced.predictor == "model"
        else None,
        "predictor_type": priced.predictor.upper(),
    }


def _trends_until(plan: RatingPlan) -> str | None:
    if not plan.has_trends:
        return None
    try:
        return (plan.as_of + timedelta(days=math.floor(plan.trend_months[1] * DAYS_A_MONTH))).isoformat()
    except OverflowError:  # for ever
        return None


def ready_document(readiness: Readiness) -> Document:
    """A `ReadyDocument`."""
    return {
        "status": readiness.status,
        "model_version": readiness.model.version.version,
        "journal_pending": readiness.journal_pending,
        "reason": readiness.reason,
    }


def model_document(model: ServedModel) -> Document:
    """A `ModelDocument`."""
    version, plan = model.version, model.pricer.plan
    return {
        "version": version.version,
        "digest": version.digest,
        "candidate": version.candidate,
        "as_of": version.as_of.isoformat(),
        "trends_until": _trends_until(plan),
        "approved_by": version.approved_by,
        "approved_at": version.approved_at and _instant(version.approved_at),
        "trained_at": _instant(version.trained_at),
        "rows": version.rows,
        "metrics": dict(version.metrics),
        "features": [
            {
                "name": name,
                "part": feature.part,
                "unit": feature.unit,
                "description": feature.description,
                "plausible": {
                    "minimum": feature.minimum,
                    "minimum_allowed": feature.minimum_allowed,
                    "maximum": 1.0 if feature.is_flag else feature.maximum if math.isfinite(feature.maximum) else None,
                },
                "support": list(plan.support[name]),
                "answered": list(plan.support[name].widened()),
            }
            for name, feature in FEATURES.items()
        ],
    }
