"""A new feature needs one declaration: training, gates, plan and prices take it from there.

In a process of its own, since the features are part of what modules are made of when they are first imported.
"""

import subprocess
import sys

PROGRAM = """
from typing import NamedTuple

from motorisk.domain import policy

trips = policy.Feature("trips", "driver", "trips a day", "how often the driver sets out")
policy.FEATURES[trips.name] = trips
policy.NUMBERS = (*policy.NUMBERS, trips.name)
policy.PolicyFeatures = NamedTuple("PolicyFeatures", [(name, float) for name in policy.FEATURES])

# --- from here on nobody knows that it is new ---

from datetime import date

import numpy as np
import pyarrow as pa

from motorisk.domain.rating_plan import RatingPlan, plan_digest
from motorisk.modelling.configuration import TrainingConfiguration
from motorisk.modelling.fitting import compete, fit
from motorisk.modelling.snapshot import Snapshot
from motorisk.quoting.pricing import Pricer
from motorisk.scoring.pricing import assess
from motorisk.simulation.portfolio import Simulation, simulate_month

table = simulate_month(Simulation(date(2024, 1, 1), policies_a_month=600), 0)
drawn = np.random.default_rng(0).gamma(2, 1.5, len(table))
risk = table["risk"].to_numpy() + 0.5 * drawn - 1.5
table = table.append_column(trips.name, pa.array(drawn)).set_column(
    table.column_names.index("risk"), "risk", pa.array(risk)
)
snapshot = Snapshot.of_table(date(2025, 2, 1), table)
configuration = TrainingConfiguration(candidates=("gam",), search_trials=0)
trained = fit(snapshot, configuration, compete(snapshot, configuration))
assert [gate["name"] for gate in trained.gates if not gate["passed"]] == []

text = trained.plan.to_json()
plan = RatingPlan.from_json(text, digest=plan_digest(text))
few, many = (
    Pricer(plan).estimate(policy.PolicyFeatures(0, 40, 0, 40, 100, 40, trips=number), date(2024, 6, 1))
    for number in (1.0, 5.0)
)
assert 1.5 < many.contributions["trips"] - few.contributions["trips"] < 2.5  # half a point a trip

scored = assess(plan, snapshot.features, snapshot.effective_dates)
for row in range(20):
    features = policy.PolicyFeatures(*(float(value) for value in snapshot.matrix()[row]))
    quoted = Pricer(plan).assess(features, snapshot.effective_dates[row].item())
    assert max(abs(np.array(quoted.price_probabilities) - scored.probabilities[row])) <= 1
print("priced with", *plan.terms)
"""


def test_a_seventh_feature_is_trained_gated_and_priced_by_its_declaration_alone() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "trips"
