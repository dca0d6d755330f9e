"""The four-way reading of a drift alarm: what it probably means, and what to do.

That a feature drifts says nothing by itself. What matters is whether the version gives it weight (importance), whether
prices move because of it (prediction drift), and whether what came true is what was foretold (realised performance).

=============  ===========  ============  =====================================================================
outcomes       prices move  weight        reading
=============  ===========  ============  =====================================================================
kept           yes          any           the portfolio's mix changes, priced rightly: nothing
kept           no           any           nothing
broken         any          any           rules right more often: fall back; it was so with the version before:
                                          re-engineer; a straight line mends it: recalibrate; else retrain
unknown        any          any           nothing yet; from when on outcomes will tell
=============  ===========  ============  =====================================================================

Before all of that: values that go missing, or many that lie far outside, speak of the source (re-engineer), and where
the version has never seen what comes now, it must not answer (fall back).
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from motorisk.domain.calendar import month_name
from motorisk.monitoring.concentration import Segment
from motorisk.monitoring.effect import Effect
from motorisk.monitoring.realised import Performance, Realised
from motorisk.monitoring.wording import percent

MATTERS = 0.05
"""A feature with a smaller share in the variance of the expected risk has little weight."""
PRICES_MOVE = 0.005
"""Share of the premium, or of the policies that change class, below which nobody notices."""
UNSEEN = 0.05
"""Share of the newest policies with values that the version has never seen, from which on it must not be trusted."""
MANY_OUTLIERS = 0.01


class Action(StrEnum):
    """What to do about an alarm."""

    NOTHING = "nothing"
    RECALIBRATE = "recalibrate"
    RETRAIN = "retrain"
    RE_ENGINEER = "re-engineer"
    FALL_BACK = "fall back"


class Meaning(NamedTuple):
    """What an alarm means, and what to do, in plain sentences."""

    action: Action
    means: str
    todo: str


@dataclass(frozen=True, slots=True)
class Findings:
    """All that is known of a drifting feature of a version.

    `importance` is its share in the variance of the expected risk and `rank` its place among all features; `outside`,
    `more_missing` and `outliers` (a share) are of the newest policies; `repeated`: the version before broke its promise
    while this feature drifted.
    """

    feature: str
    version: int
    since: date | None
    importance: float
    rank: int
    effect: Effect
    realised: Realised
    outside: float = 0.0
    more_missing: bool = False
    outliers: float = 0.0
    repeated: bool = False
    segments: tuple[Segment, ...] = ()

    @property
    def matters(self) -> bool:
        """Whether the version gives the feature weight."""
        return self.importance >= MATTERS

    @property
    def moves_prices(self) -> bool:
        """Whether premiums or classes move because of it, surely and by what somebody notices."""
        shares = (self.effect.relative, *self.effect.classes.values())
        return any(share.is_certain and abs(share.value) >= PRICES_MOVE for share in shares)


def interpret(found: Findings) -> Meaning:
    """What an alarm probably means."""
    name = found.feature
    if found.more_missing or found.outliers > MANY_OUTLIERS:
        what = "go missing more often than before" if found.more_missing else "lie far outside what is usual"
        return Meaning(
            Action.RE_ENGINEER,
            f"Values of {name} {what}: its source has changed, rather than the customers.",
            "Look at where it comes from, and mend that; if it cannot be mended, a version has to do without it.",
        )
    if found.outside >= UNSEEN:
        return Meaning(
            Action.FALL_BACK,
            f"{percent(found.outside)} of the newest policies have values of {name} that version {found.version} has "
            "never seen.",
            "The rules answer for them: leave it so, or price them by hand, until outcomes of such policies are known, "
            "and train then.",
        )
    match found.realised.performance:
        case Performance.UNKNOWN:
            return _unknown(found)
        case Performance.KEPT:
            return _kept(found)
        case Performance.BROKEN:
            return _broken(found)


def _unknown(found: Findings) -> Meaning:
    known_from = found.realised.known_from
    when = f"from {month_name(known_from)} on" if known_from is not None else "when they become known"
    if found.moves_prices:
        means = (
            f"The portfolio's mix changes and prices follow {found.feature}; whether rightly, nobody knows yet: there "
            f"are {found.realised.outcomes:,} outcomes of policies since."
        )
        return Meaning(Action.NOTHING, means, f"Nothing yet; outcomes tell {when}. Plan with the changed premium.")
    means = (
        f"Prices hardly notice that {found.feature} moves, and there are {found.realised.outcomes:,} outcomes of "
        "policies since."
    )
    return Meaning(Action.NOTHING, means, f"Nothing yet; outcomes tell {when}.")


def _kept(found: Findings) -> Meaning:
    right = f"version {found.version} keeps its promise on the policies since"
    if found.moves_prices:
        weight = "" if found.matters else ", though it tells policies apart by little: nearly all of them move one way"
        means = f"The portfolio's mix changes and prices follow {found.feature}{weight}; rightly, since {right}."
        return Meaning(Action.NOTHING, means, "Nothing to the version; plan with the changed premium.")
    why = "moves where prices are flat, or up and down cancel out" if found.matters else "has little weight"
    return Meaning(Action.NOTHING, f"{found.feature} {why}, and {right}.", "Nothing.")


def _broken(found: Findings) -> Meaning:
    cause = _cause(found)
    accuracy, rules_accuracy = found.realised.accuracy, found.realised.rules_accuracy
    if accuracy is not None and rules_accuracy is not None and rules_accuracy > accuracy:
        return Meaning(
            Action.FALL_BACK,
            f"{cause} The underwriters' rules alone would have been right more often "
            f"({percent(rules_accuracy)} against {percent(accuracy)}).",
            "Go back to an earlier version (`motorisk rollback`) or let the rules answer, and train.",
        )
    if found.repeated:
        return Meaning(
            Action.RE_ENGINEER,
            f"{cause} It was so with the version before as well: training again has not helped.",
            f"Give the model another form: {found.feature} in finer steps, together with another feature, or with a "
            "trend; and look for what nobody records yet.",
        )
    if found.realised.recalibration_suffices:
        return Meaning(
            Action.RECALIBRATE,
            f"{cause} It still tells good risks from bad ones: a straight line through observed against expected risk "
            "makes the errors as narrow as stated.",
            "Recalibrate: train with the newest outcomes, the terms need not change; until then scale the premium.",
        )
    return Meaning(
        Action.RETRAIN,
        f"{cause} No straight line mends that: what the features mean has changed.",
        "Train with the newest outcomes, with trends among the candidates.",
    )


def _cause(found: Findings) -> str:
    worse = f"version {found.version} does worse than it promised on the policies since"
    if found.moves_prices:
        return f"Prices follow {found.feature}, and {worse}."
    if found.matters:
        return f"{found.feature} has weight and prices do not follow its drift, while {worse}."
    return f"{found.feature} is hardly the reason, it moves no prices, but {worse}."
