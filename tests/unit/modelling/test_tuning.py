"""What candidates bring to the competition: settings found on earlier months, terms held still, files that keep it."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from tests.unit.modelling.histories import history

from motorisk.domain.calendar import add_months
from motorisk.errors import InvalidData
from motorisk.modelling import tuning
from motorisk.modelling.backtest import BacktestResult
from motorisk.modelling.candidates import CANDIDATES
from motorisk.modelling.configuration import CHAMPION, TrainingConfiguration
from motorisk.modelling.snapshot import Snapshot
from motorisk.modelling.tuning import Entry, Trial, as_champion, enter


def configuration(**values: object) -> TrainingConfiguration:
    return TrainingConfiguration.model_validate({"search_trials": 3, **values})


def tried(entry: Entry, name: str) -> set[int]:
    return {trial.settings[name] for trial in entry.trials}


def test_the_search_tries_the_configured_settings_first_and_others_of_the_grid() -> None:
    entry = enter(history(16), CANDIDATES["gam"], configuration())
    assert entry.trials[0].settings == {"knots": 10}
    assert len(tried(entry, "knots")) == len(entry.trials) == 4
    assert tried(entry, "knots") <= {6, 8, 10, 14, 20}


def test_the_same_seed_tries_the_same_and_another_seed_something_else() -> None:
    snapshot = history(12, delay=1, policies=100)
    one, again, other = (
        enter(snapshot, CANDIDATES["trend_gam"], configuration(seed=seed)).trials for seed in (1, 1, 2)
    )
    assert len(one) == 4
    assert one == again
    assert [trial.settings for trial in one] != [trial.settings for trial in other]


def test_settings_are_judged_on_months_before_those_of_the_backtest(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = history(16)
    searched: list[Snapshot] = []
    real = tuning.backtest

    def watched(part: Snapshot, *arguments: object) -> BacktestResult | None:
        searched.append(part)
        return real(part, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(tuning, "backtest", watched)
    entry = enter(snapshot, CANDIDATES["gam"], configuration())
    *earlier, last = searched
    assert len(earlier) == 4
    assert last is snapshot
    assert entry.result is not None
    first_compared = snapshot.effective_dates[entry.result.rows].min()
    assert max(part.effective_dates.max() for part in earlier) < first_compared
    assert {part.as_of for part in earlier} == {add_months(snapshot.as_of, -6)}


def test_a_setting_that_is_clearly_better_replaces_the_configured_one() -> None:
    entry = enter(history(16, policies=600), CANDIDATES["gam"], configuration(knots=2, search_trials=10))
    assert entry.configuration.knots > 2
    best = min(entry.trials, key=lambda trial: trial.log_loss)
    assert best.settings == {"knots": entry.configuration.knots}


def test_without_a_clear_winner_the_configured_setting_stays() -> None:
    entry = enter(history(16, drift_until=0), CANDIDATES["gam"], configuration(search_trials=10))
    assert entry.configuration.knots == 10


@pytest.mark.parametrize("months", [1, 3, 5])
def test_too_few_months_for_a_search_leave_the_configured_settings(months: int) -> None:
    entry = enter(history(months), CANDIDATES["gam"], configuration())
    assert (entry.trials, entry.at_edge, entry.configuration.knots) == ((), (), 10)


def _result(losses: Iterable[float]) -> BacktestResult:
    found = np.array(list(losses))
    n = len(found)
    return BacktestResult("gam", np.arange(n), found, np.ones(n), np.zeros(n), np.zeros((n, 3)), {})


def test_an_optimum_at_the_edge_is_told_unless_an_inner_value_is_as_good() -> None:
    noise = np.random.default_rng(1).normal(0, 0.01, 500)
    best, worse = _result(0.1 + noise), _result(0.2 + noise[::-1])
    found = [({"knots": 6}, worse), ({"knots": 10}, worse), ({"knots": 20}, best)]
    assert tuning._at_edge("knots", (6, 10, 20), best, found)
    assert not tuning._at_edge("knots", (6, 10, 20, 40), best, found)
    as_good = [({"knots": 10}, _result(0.1 + noise)), ({"knots": 20}, best)]
    assert not tuning._at_edge("knots", (6, 10, 20), best, as_good)


def test_terms_whose_change_does_not_help_over_the_whole_delay_lose_it() -> None:
    entry = enter(history(30, policies=500), CANDIDATES["trend_gam"], configuration(search_trials=0))
    assert set(entry.configuration.still) <= {"power", "miles", "braking_distance", "emergency_braking"}
    assert entry.configuration.still
    assert entry.result is not None
    assert not set(entry.configuration.still) & set(entry.result.without_trend)


def test_while_the_history_is_shorter_than_the_delay_all_terms_may_change() -> None:
    assert enter(history(14), CANDIDATES["trend_gam"], configuration(search_trials=0)).configuration.still == ()


def test_progress_ends_at_all_of_all() -> None:
    told: list[tuple[int, int]] = []
    enter(history(16, policies=100), CANDIDATES["gam"], configuration(), lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1]
    assert all(done <= total for done, total in told)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_only_yardsticks_that_learn_are_measured_in_their_own_time() -> None:
    snapshot = history(2, policies=750)
    able = enter(snapshot, CANDIDATES["classifier"], configuration())
    unable = enter(snapshot, CANDIDATES["neural_net"], configuration(neurons=1))
    assert able.in_time is not None
    assert unable.in_time is not None
    assert min(able.in_time) > 0.75
    assert min(unable.in_time) < 0.7
    assert enter(snapshot, CANDIDATES["gam"], configuration()).in_time is None
    assert enter(snapshot, CANDIDATES["rules"], configuration()).in_time is None


def test_too_few_policies_teach_no_network() -> None:
    assert enter(history(2, policies=600), CANDIDATES["classifier"], configuration()).in_time is None


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("months", [2, 12])
def test_an_entry_reads_back_as_it_was_written(tmp_path: Path, months: int) -> None:
    entry = enter(history(months, delay=1, policies=200), CANDIDATES["trend_gam"], configuration(still=["power"]))
    entry.save(tmp_path)
    found = Entry.load(tmp_path, "trend_gam")
    assert (found.configuration, found.trials, found.at_edge, found.in_time) == (
        entry.configuration,
        entry.trials,
        entry.at_edge,
        entry.in_time,
    )
    assert (found.result is None, found.trials == ()) == (months == 2, months == 2)
    if found.result is not None and entry.result is not None:
        assert (found.result.losses == entry.result.losses).all()
        assert (found.result.shares == entry.result.shares).all()
        assert found.result.without_trend.keys() == entry.result.without_trend.keys()


def test_the_champion_competes_under_its_own_name(tmp_path: Path) -> None:
    as_champion(enter(history(8, policies=100), CANDIDATES["gam"], configuration())).save(tmp_path)
    found = Entry.load(tmp_path, CHAMPION)
    assert found.result is not None
    assert found.candidate == found.result.candidate == "champion"


@pytest.mark.fault("corrupted snapshot")
def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="the backtest of gam cannot be read"):
        Entry.load(tmp_path, "gam")
    (tmp_path / "gam.npz").write_bytes(b"nothing like it")
    with pytest.raises(InvalidData, match=r"gam\.npz"):
        Entry.load(tmp_path, "gam")


@pytest.mark.fault("corrupted snapshot")
def test_a_file_cut_short_or_with_a_byte_changed_is_named_or_says_what_it_said(tmp_path: Path) -> None:
    entry = Entry("gam", configuration(), _result([0.1, 0.2]), (Trial({"knots": 10}, 0.4, 0.01),))
    entry.save(tmp_path)
    path = tmp_path / "gam.npz"
    whole = path.read_bytes()
    cut = [whole[:length] for length in range(0, len(whole), 40)]
    changed = [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(0, len(whole), 3)]
    refused = 0
    for content in (*cut, *changed):
        path.write_bytes(content)
        try:
            found = Entry.load(tmp_path, "gam")
        except InvalidData as error:
            assert str(path) in str(error)  # noqa: PT017 - bytes that nothing depends on change nothing
            refused += 1
        else:
            assert (found.configuration, found.trials) == (entry.configuration, entry.trials)
    assert refused >= 0.5 * len([*cut, *changed])
