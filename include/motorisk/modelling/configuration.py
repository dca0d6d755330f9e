"""What training does, as data: candidate, capacity, window and gates.

`dags/config/training.yaml` holds the values in force, so that a push changes them without a new image.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from motorisk.errors import SettingsError

Share = Annotated[float, Field(ge=0, le=1)]
CandidateName = Literal["rules", "gam", "trend_gam", "classifier", "boosting", "neural_net"]
FeatureName = Literal["training", "age", "emergency_braking", "braking_distance", "power", "miles"]
CHAMPION = "champion"
"""The name by which the champion's way of training competes."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GateThresholds(_Frozen):
    """Bounds that a version has to keep before anybody may approve it.

    Source: the workshop's validation (openknowledge mlops-m3): accuracy, its spread between training and
    hold-out, class shares, certainty.
    """

    min_accuracy: Share = 0.85
    max_accuracy_spread: Share = 0.05
    max_share_difference: Share = 0.05
    min_certainty: Share = 0.75
    max_certainty: Share = 0.99
    min_yardstick_accuracy: Share = 0.75
    """Of a yardstick on unseen policies of the months that it learnt from."""
    max_calibration_error: Share = 0.05
    max_segment_error: Annotated[float, Field(ge=0)] = 0.15
    """Mean error on the risk index beyond chance; a class is 2 wide."""
    max_segment_excess: Annotated[float, Field(ge=0)] = 0.25
    """Actual over expected high risks, its distance from one beyond chance."""
    max_loss_to_champion: Annotated[float, Field(ge=0)] = 0.01
    """Log loss on the backtest by which the champion's way of training may be better for certain; less is no matter."""
    max_price_shock: Share = 0.6
    """Share of the portfolio whose premium moves by more than a fifth against the champion's."""
    max_quote_milliseconds: Annotated[float, Field(gt=0)] = 1.0
    """Median time of pricing one quote, rounded up to a tenth."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_certainty > self.max_certainty:
            raise ValueError("min_certainty is above max_certainty")
        return self


class TrainingConfiguration(_Frozen):
    """How a model is trained."""

    candidates: Annotated[tuple[CandidateName, ...], Field(min_length=1)] = get_args(CandidateName)
    """Models that compete; the best additive one becomes a version, the others show what is attainable."""
    knots: Annotated[int, Field(ge=2, le=100)] = 10
    """Spline knots of each numeric feature, at its quantiles."""
    trend_knots: Annotated[int, Field(ge=2, le=100)] = 8
    """Spline knots of the change of each numeric feature's term over time."""
    history_months: Annotated[int, Field(ge=1, le=600)] = 36
    """Months of matured policies in the snapshot, counted back from the newest."""
    window_months: Annotated[int, Field(ge=1, le=600)] = 3
    """Newest months of the snapshot that a model without trends is trained on: they resemble tomorrow's most."""
    extrapolate_months: Annotated[float, Field(ge=0, le=60)] = 6
    """How long after the as-of date trends go on."""
    backtest_months: Annotated[int, Field(ge=1, le=60)] = 6
    """Newest matured months on which candidates are compared as if their outcomes were not known."""
    still: tuple[FeatureName, ...] = ()
    """Features whose terms may not change over time; more are added where a change does not help the backtest."""
    leaves: Annotated[int, Field(ge=2, le=1000)] = 15
    """Leaves of each boosted tree."""
    neurons: Annotated[int, Field(ge=1, le=1000)] = 100
    """Neurons in each of the three hidden layers of the neural network."""
    search_trials: Annotated[int, Field(ge=0, le=1000)] = 4
    """Settings other than these that a candidate tries, on months before those of the backtest; 0: none."""
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    """Folds of the cross-validation that hold-out figures and residual spread come from."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    gates: GateThresholds = GateThresholds()

    @model_validator(mode="after")
    def _has_additive(self) -> Self:
        if not {"gam", "trend_gam"} & set(self.candidates):
            raise ValueError("candidates must name gam or trend_gam: only additive models can become champion")
        return self


def load_configuration(path: Path | None, overrides: Iterable[str] = ()) -> TrainingConfiguration:
    """Read a YAML file (None: the defaults), then apply `name=value` overrides (`gates.min_accuracy=0.9`).

    `SettingsError` names the key that is unknown or malformed.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise SettingsError(f"cannot read the training configuration {path}: {reason}") from None
        if loaded is not None and not isinstance(loaded, dict):
            raise SettingsError(f"the training configuration {path} must be a mapping")
        values = loaded or {}
    for override in overrides:
        _override(values, override)
    try:
        return TrainingConfiguration.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise SettingsError(f"training configuration: {place}: {first['msg']}, got {first['input']!r}") from None


def _override(values: dict[str, Any], override: str) -> None:
    name, separator, value = override.partition("=")
    if not separator or not name:
        raise SettingsError(f"an override is written name=value, got {override!r}")
    *path, last = name.split(".")
    for part in path:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise SettingsError(f"training configuration: {name}: {part} has no parts")
    try:
        values[last] = yaml.safe_load(value)
    except (ValueError, yaml.YAMLError):
        raise SettingsError(f"training configuration: {name}: cannot read {value!r}") from None
