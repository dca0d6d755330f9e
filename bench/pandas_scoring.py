"""Two ways to score a portfolio with pandas, for `bench/scoring.py` to compare with.

Both write to the table `floor`, as `to_sql` does it by default.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Engine, text

from motorisk.domain.policy import FEATURES, PolicyFeatures
from motorisk.domain.risk import certain, class_probabilities
from motorisk.domain.rules import rule_class
from motorisk.modelling.candidates import CANDIDATES, Additive
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.snapshot import extract_snapshot
from motorisk.registry.tariffs import in_force, tariffs
from motorisk.registry.versions import champion, load_plan
from motorisk.scoring.pricing import assess, premiums

POLICIES = text(
    "SELECT * FROM insurance.policy WHERE effective_date <= :as_of AND expiry_date > :as_of "
    "ORDER BY policy_id LIMIT :limit"
)
COLUMNS = (
    "as_of", "policy_id", "version", "tariff", "predictor", "risk_class", "expected_risk", "p_low", "p_medium",
    "p_high", "net", "insurance_tax", "gross",
)  # fmt: skip
_DIFFERENCES = text(
    "SELECT count(*), count(*) FILTER (WHERE f.gross <> s.gross) FROM floor f "
    "JOIN motorisk.score s ON s.as_of = f.as_of AND s.policy_id = f.policy_id"
)


class Pandas:
    """What both ways know: the champion, as a plan and as the fitted regressor before it was folded, and the tariff."""

    def __init__(self, engine: Engine, as_of: Any) -> None:
        self._engine, self._as_of = engine, as_of
        with engine.connect() as connection:
            model = champion(connection)
            self._plan = load_plan(connection, model.version)
            self._tariff = in_force(tariffs(connection), as_of)
            configuration = TrainingConfiguration.model_validate({**model.parameters, "search_trials": 0})
            snapshot = extract_snapshot(connection, self._plan.as_of, configuration.history_months)
        candidate = CANDIDATES[self._plan.candidate]
        if not isinstance(candidate, Additive) or snapshot.digest != self._plan.snapshot_digest:
            raise RuntimeError("what the champion was trained on is not there any more")
        part = candidate.training_part(snapshot, configuration)
        self._model = candidate.regressor(configuration).fit(part.matrix(), part.risk, part.months())
        self._version = model.version

    def obvious(self, limit: int) -> None:
        """The model's own predict for the frame, then each row by what the domain has for one policy."""
        frame = self._read(limit)
        frame["months"] = frame["effective_date"].map(self._plan.trend_time)
        frame["risk"] = self._model.predict(frame[list(FEATURES)].to_numpy(float), frame["months"].to_numpy())
        frame["spread"] = self._model.predict_spread(frame["months"].to_numpy())
        scores = frame.apply(self._price, axis=1, result_type="expand")
        scores.columns = list(COLUMNS)
        self._write(scores)

    def vectorised(self, limit: int) -> None:
        """Everything between reading and writing as the platform does it, column by column."""
        frame = self._read(limit)
        features = {name: frame[name].to_numpy(float) for name in FEATURES}
        found = assess(self._plan, features, pd.to_datetime(frame["effective_date"]).to_numpy().astype("datetime64[D]"))
        money = premiums(self._tariff, found.probabilities)
        values = (
            self._as_of, frame["policy_id"], self._version, self._tariff.name,
            np.where(found.by_model, "model", "rules"), found.class_names, found.expected_risk, *found.probabilities.T,
            money.net / 100, money.insurance_tax / 100, money.gross / 100,
        )  # fmt: skip
        self._write(pd.DataFrame(dict(zip(COLUMNS, values, strict=True))))

    def checked(self, way: Callable[[int], None], limit: int) -> str:
        """Which premiums a way got that are not the platform's published ones; the regressor was folded since."""
        way(limit)
        with self._engine.connect() as connection:
            both, other = connection.execute(_DIFFERENCES).one()
        return f"{other:,} of {both:,} premiums are not the platform's to the cent"

    def _read(self, limit: int) -> pd.DataFrame:
        return pd.read_sql(POLICIES, self._engine, params={"as_of": self._as_of, "limit": limit})

    def _write(self, scores: pd.DataFrame) -> None:
        with self._engine.begin() as connection:
            connection.execute(text("TRUNCATE floor"))
        scores.to_sql("floor", self._engine, if_exists="append", index=False)

    def _price(self, row: Any) -> tuple[Any, ...]:
        features = PolicyFeatures(*(float(row[name]) for name in FEATURES))
        supports = (self._plan.support[name].widened() for name in FEATURES)
        by_model = all(low <= value <= high for (low, high), value in zip(supports, features, strict=True))
        if by_model:
            found = class_probabilities(row["risk"], row["spread"], self._plan.class_bounds)
            risk_class = found.most_likely()
        else:
            risk_class = rule_class(features)
            found = certain(risk_class)
        premium = self._tariff.premium(found)
        return (
            self._as_of, row["policy_id"], self._version, self._tariff.name, "model" if by_model else "rules",
            risk_class.value, row["risk"] if by_model else None, *found, premium.net, premium.insurance_tax,
            premium.gross,
        )  # fmt: skip
