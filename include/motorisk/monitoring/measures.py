"""What drift is measured of: the policies' features, the quotes' features, and what the scores foretell."""

from enum import StrEnum

from motorisk.domain.policy import FEATURES, Feature


class Kind(StrEnum):
    """The rows that a night compares: the newest month's policies, the day's quotes, the day's scores."""

    POLICIES = "policies"
    QUOTES = "quotes"
    SCORES = "scores"


PREDICTIONS: dict[str, Feature] = {
    measure.name: measure
    for measure in (
        Feature("risk_index", "score", "points", "the expected risk index; missing where the rules answered"),
        Feature("premium", "score", "euros a year", "the net premium"),
        Feature("low_risk", "score", "yes/no", "the policy is of the class low", is_flag=True),
        Feature("medium_risk", "score", "yes/no", "the policy is of the class medium", is_flag=True),
        Feature("high_risk", "score", "yes/no", "the policy is of the class high", is_flag=True),
    )
}
"""What a score foretells. A class's share is the mean of its flag."""

MEASURES = FEATURES | PREDICTIONS
MEASURES_OF = {Kind.POLICIES: tuple(FEATURES), Kind.QUOTES: tuple(FEATURES), Kind.SCORES: tuple(PREDICTIONS)}
