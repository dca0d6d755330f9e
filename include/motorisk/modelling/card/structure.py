"""The parts of a card, free of any markup: Markdown and HTML are both written from them, so that they agree.

All text is plain text; writing it down harmlessly is the writers' business.
"""

from dataclasses import dataclass, field
from typing import Literal

LineStyle = Literal["now", "later", "last", "champion"]


class Strong(str):
    """Text that stands out."""

    __slots__ = ()


class Alarm(Strong):
    """Text that must not be overlooked."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with their values."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows as long as the headings; a row's first cell names it."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot: its label and its points."""

    label: str
    style: LineStyle
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One small plot over one feature; `ticks` name the values of a flag, `shaded` is the training support.

    `description` says in words what the lines show. The plot reaches from -`reach` to `reach` at least: a smaller one
    would make much of nothing.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    description: str
    shaded: tuple[float, float] | None = None
    ticks: tuple[str, ...] = ()
    reach: float = 0.0


@dataclass(frozen=True, slots=True)
class Plots:
    """Panels side by side."""

    panels: tuple[Panel, ...]


Part = Text | Facts | Table | Plots


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    parts: tuple[Part, ...]

    @property
    def anchor(self) -> str:
        """The section's name in addresses."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.heading.lower()).split())


@dataclass(frozen=True, slots=True)
class Card:
    """A title, the facts that identify the version, and sections."""

    title: str
    head: Facts
    sections: tuple[Section, ...] = field(default=())

    @property
    def panels(self) -> dict[str, Panel]:
        """All plots by their names."""
        plots = (part for section in self.sections for part in section.parts if isinstance(part, Plots))
        return {panel.name: panel for part in plots for panel in part.panels}
