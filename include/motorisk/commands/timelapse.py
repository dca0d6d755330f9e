"""`motorisk timelapse`: years of the platform's life in a minute."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from motorisk.commands.opening import warehouse
from motorisk.commands.options import ConfigOption, OverridesOption, parse_month_option, require_in_order
from motorisk.commands.output import JsonOption, console, print_json, progress_bar
from motorisk.files import make_folder
from motorisk.settings import settings

if TYPE_CHECKING:
    from motorisk.pipelines.timelapse import Frame

QUICK = ("candidates=[rules, gam, trend_gam]", "search_trials=0")
LINES = {
    "accuracy": "the platform",
    "accuracy_once": "trained once",
    "accuracy_monthly": "plain monthly retraining",
    "accuracy_oracle": "labels at once (oracle)",
}


def timelapse(
    first: Annotated[date, typer.Option("--from", parser=parse_month_option, metavar="YYYY-MM", help="First month.")],
    last: Annotated[date, typer.Option("--to", parser=parse_month_option, metavar="YYYY-MM", help="Last month.")],
    label_delay: Annotated[int, typer.Option(min=0, max=120, help="Months until an outcome is known.")] = 12,
    train_every: Annotated[int, typer.Option(min=1, max=120, help="Months between trainings.")] = 1,
    config: ConfigOption = None,
    overrides: OverridesOption = None,
    json: JsonOption = False,
) -> None:
    """Replay month by month what the platform would have known and done; nothing is registered.

    Outcomes are taken to be known `--label-delay` months after a policy starts, those of the first month at once.
    Unless `--set` says otherwise no yardsticks compete and no settings are searched: every month trains a model.
    """
    from motorisk.modelling.configuration import load_configuration
    from motorisk.pipelines.timelapse import replay

    require_in_order(first, last)
    configuration = load_configuration(config or settings().training_config, [*QUICK, *(overrides or ())])
    engine, frames = warehouse(), []
    with progress_bar("Replaying", quiet=json) as progress:
        for frame in replay(
            engine, first, last, configuration, label_delay=label_delay, train_every=train_every, progress=progress
        ):
            frames.append(frame)
            if json:
                print_json(frame)
    if not json:
        _print_table(frames)
        console.print(f"Picture: {_plot(frames, first, last)}", soft_wrap=True)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _print_table(frames: "list[Frame]") -> None:
    table = Table(title="Accuracy on each month's new policies, once their outcomes were known", title_justify="left")
    for heading in ("month", "champion", "drifted", *LINES.values(), "log loss"):
        table.add_column(heading)
    for frame in frames:
        champion = "" if frame.champion is None else f"{frame.champion} ({frame.candidate})"
        figures = [_figure(getattr(frame, name)) for name in LINES]
        table.add_row(frame.month, champion, ", ".join(frame.drifted), *figures, _figure(frame.log_loss))
    means = []
    for name in LINES:
        values = [value for value in (getattr(frame, name) for frame in frames) if value is not None]
        means.append(_figure(sum(values) / len(values) if values else None))
    table.add_section()
    table.add_row("mean", "", "", *means, "")
    console.print(table)


def _plot(frames: "list[Frame]", first: date, last: date) -> Path:
    """Draw the accuracies over time; return the picture's path."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    # Okabe and Ito's colours, which people with colour-blindness tell apart; line styles for print.
    styles = {
        "accuracy": ("#0072B2", "-"),
        "accuracy_once": ("#D55E00", ":"),
        "accuracy_monthly": ("#E69F00", "--"),
        "accuracy_oracle": ("#009E73", "-."),
    }
    figure, axes = plt.subplots(figsize=(10, 5), layout="constrained")
    months = [frame.month for frame in frames]
    for name, (colour, style) in styles.items():
        values = [float("nan") if getattr(frame, name) is None else getattr(frame, name) for frame in frames]
        axes.plot(months, values, style, color=colour, label=LINES[name], linewidth=2)
    axes.set(title="Accuracy on each month's new policies", ylabel="class accuracy", xlabel="month")
    axes.tick_params(axis="x", rotation=90)
    axes.grid(alpha=0.3)
    axes.legend()
    folder = settings().home / "reports" / "timelapse"
    make_folder(folder)
    path = folder / f"{first:%Y-%m}_{last:%Y-%m}.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path
