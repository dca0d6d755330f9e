"""The underwriters' rules: what answers where the model has no experience.

Source: the workshop's rule list (openknowledge mlops-m3), in its order; the first that applies decides.
"""

from motorisk.domain.policy import PolicyFeatures
from motorisk.domain.risk import RiskClass


def rule_class(features: PolicyFeatures) -> RiskClass:
    """The class that the rules give to a policy (years, kW, thousand miles a year)."""
    if features.training:
        return RiskClass.LOW
    if features.age < 30:
        return RiskClass.HIGH if features.power > 130 else RiskClass.MEDIUM
    if features.age > 50:
        return RiskClass.HIGH
    if features.emergency_braking:
        return RiskClass.LOW
    if features.miles > 50:
        return RiskClass.HIGH
    if features.miles > 30:
        return RiskClass.MEDIUM
    return RiskClass.LOW
