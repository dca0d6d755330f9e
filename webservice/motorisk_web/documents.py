"""Domain values as the JSON objects that `motorisk_web.schemas` describes.

Built by hand: a pydantic model an answer would cost more than pricing does. A test compares the two.
"""

import math
from datetime import UTC, datetime
from typing import Any

from motorisk.domain.policy import FEATURES
from motorisk.quoting.champion import ServedModel
from motorisk.quoting.quote import PricedQuote, Quote

Document = dict[str, Any]


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def quote_document(quote: Quote) -> Document:
    """A `QuoteDocument`."""
    priced = quote.priced
    by_model = priced.predictor == "model"
    return {
        "quote_id": str(priced.quote_id),
        "risk_class": priced.risk_class.value,
        "probabilities": {name.value: p for name, p in priced.probabilities.as_floats().items()} if by_model else None,
        "expected_risk": priced.expected_risk,
        "premium": {
            "net": str(priced.premium.net),
            "insurance_tax": str(priced.premium.insurance_tax),
            "gross": str(priced.premium.gross),
            "currency": quote.currency,
            "period": "year",
        },
        "reasons": [reason._asdict() for reason in quote.reasons],
        "predictor": priced.predictor,
        "fallback": None
        if by_model
        else [{"feature": item.feature, "value": item.value, "support": list(item.support)} for item in quote.fallback],
        "model_version": priced.version,
        "tariff": priced.tariff,
        "effective_date": priced.effective_date.isoformat(),
        "reference": priced.reference,
        "quoted_at": _instant(priced.quoted_at),
        "valid_until": _instant(priced.valid_until),
        "warnings": list(quote.warnings),
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


def model_document(model: ServedModel) -> Document:
    """A `ModelDocument`."""
    version, plan = model.version, model.pricer.plan
    return {
        "version": version.version,
        "digest": version.digest,
        "candidate": version.candidate,
        "as_of": version.as_of.isoformat(),
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
