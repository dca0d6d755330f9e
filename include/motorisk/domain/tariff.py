"""Premiums: the tariff turns class probabilities into money, exact to the cent.

Net premium = base premium x sum over classes of (probability x class factor), a year, rounded half up
to cents; insurance tax (Germany: 19 %, VersStG section 6) is rounded by itself and shown apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from motorisk.domain.risk import PROBABILITY_UNITS, RISK_CLASSES, ClassProbabilities, RiskClass

CENT = Decimal("0.01")
FACTOR_UNIT = Decimal("0.001")
TAX_UNIT = Decimal("0.0001")

# With these the vectorised arithmetic fits 64-bit integers: 5e6 cents x 1e8 x 1e4 < 2**63.
MAX_BASE_PREMIUM = Decimal("50000")
MAX_FACTOR = Decimal("10")


@dataclass(frozen=True, slots=True)
class Premium:
    """A yearly premium in the tariff's currency; gross = net + insurance tax."""

    net: Decimal
    insurance_tax: Decimal
    gross: Decimal


@dataclass(frozen=True, slots=True)
class Tariff:
    """Prices in force from `valid_from` until the next tariff: euros a year, factors a class, tax share."""

    name: str
    valid_from: date
    base_premium: Decimal
    factors: Mapping[RiskClass, Decimal]
    tax_rate: Decimal
    currency: str = "EUR"

    def __post_init__(self) -> None:
        amounts = {"base_premium": (self.base_premium, CENT, MAX_BASE_PREMIUM)}
        amounts |= {f"factor of {name}": (self.factors[name], FACTOR_UNIT, MAX_FACTOR) for name in RISK_CLASSES}
        amounts["tax_rate"] = (self.tax_rate, TAX_UNIT, Decimal(1))
        for name, (value, unit, maximum) in amounts.items():
            if not 0 <= value <= maximum:
                raise ValueError(f"tariff {self.name}: {name} must be from 0 to {maximum}, got {value}")
            if value != value.quantize(unit):
                raise ValueError(f"tariff {self.name}: {name} must be a multiple of {unit}, got {value}")

    def premium(self, probabilities: ClassProbabilities) -> Premium:
        """The yearly premium for these class probabilities."""
        weighted = sum(
            (units * self.factors[name] for name, units in zip(RISK_CLASSES, probabilities, strict=True)), Decimal(0)
        )
        net = (self.base_premium * weighted / PROBABILITY_UNITS).quantize(CENT, ROUND_HALF_UP)
        tax = (net * self.tax_rate).quantize(CENT, ROUND_HALF_UP)
        return Premium(net=net, insurance_tax=tax, gross=net + tax)
