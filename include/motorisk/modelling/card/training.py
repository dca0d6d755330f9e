"""How the version came about: its data, the candidates it competed with, its settings and their search."""

from collections.abc import Mapping, Sequence
from typing import Any

from motorisk.modelling.card.structure import Facts, Part, Section, Strong, Table, Text
from motorisk.modelling.card.wording import UNKNOWN, interval, listed, number, said, setting, whole
from motorisk.registry.versions import ModelVersion

Row = Mapping[str, Any]

_FIGURES = (
    ("log_loss", "log loss", ".4f"),
    ("accuracy", "accuracy", ".3f"),
    ("rmse", "RMSE", ".3f"),
    ("gini", "Gini", ".3f"),
    ("calibration_error", "calibration error", ".3f"),
)


def data(model: ModelVersion, found: Row) -> Section:
    """What the version was trained on."""
    first, last = found.get("first_month"), found.get("last_month")
    months = f"{said(first)} to {said(last)}" if first and last else "not recorded"
    tested = [said(month) for month in found.get("backtest_months") or ()]
    rows = (
        ("policies", whole(found.get("policies") or model.rows)),
        ("months in which they began", months),
        ("known on", str(model.as_of)),
        ("backtest on", f"{tested[0]} to {tested[-1]} ({len(tested)} months)" if tested else UNKNOWN),
        ("trained at", f"{model.trained_at:%Y-%m-%d %H:%M} UTC"),
        ("snapshot digest", model.snapshot_digest),
        ("rating plan digest", model.digest),
    )
    return Section("Data", (Facts(rows),))


def backtest(rows: Sequence[Row]) -> Section:
    """The candidates beside each other."""
    if not rows:
        return Section("Backtest", (Text("Too few months have matured to compare candidates on the past."),))
    figures = [figure for figure in _FIGURES if any(row.get(figure[0]) is not None for row in rows)]
    headings = ("candidate", *(name for _, name, _ in figures), "policies", "")
    body = tuple(
        (
            said(row["candidate"]),
            *(_figure(row, key, pattern) for key, _, pattern in figures),
            whole(row.get("policies")),
            Strong("chosen") if row["chosen"] else "" if row["additive"] else "yardstick",
        )
        for row in rows
    )
    parts: list[Part] = [Table(headings, body)]
    if any(row.get("intervals") for row in rows):
        parts.append(Text("In square brackets: how far each figure may be off by chance."))
    return Section("Backtest: what was known then, against what came true", tuple(parts))


def _figure(row: Row, key: str, pattern: str) -> str:
    shown = number(row.get(key), pattern)
    if key == "log_loss" and row.get("standard_error") is not None:
        shown += f" ± {row['standard_error']:.4f}"
    return shown + interval((row.get("intervals") or {}).get(key), pattern)


def search(model: ModelVersion, found: Row) -> Section:
    """The hyperparameters, and what else was tried."""
    settled = {**model.parameters, **(found.get("settings") or {})}
    parts: list[Part] = []
    if settled:
        parts.append(Facts(tuple((said(name).replace("_", " "), setting(value)) for name, value in settled.items())))
    tried = found.get("search") or {}
    if tried.get("note"):
        parts.append(Text(said(tried["note"])))
    if tried.get("at_edge"):
        names = listed([said(name).replace("_", " ") for name in tried["at_edge"]])
        parts.append(Text(f"Settled at the edge of what was tried, so that more may help: {names}."))
    trials = tried.get("trials") or ()
    if trials:
        parts.append(Table(("candidate", "settings", "log loss", ""), tuple(_trial(trial) for trial in trials)))
    elif not tried.get("note"):
        parts.append(Text("These were given; nothing was searched."))
    return Section("Settings and their search", tuple(parts))


def _trial(trial: Row) -> tuple[str, ...]:
    error = "" if trial.get("standard_error") is None else f" ± {trial['standard_error']:.4f}"
    return (
        said(trial.get("candidate") or UNKNOWN),
        setting(trial.get("settings") or {}),
        number(trial.get("log_loss"), ".4f") + error,
        Strong("chosen") if trial.get("chosen") else "",
    )
