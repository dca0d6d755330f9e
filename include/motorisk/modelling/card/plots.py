"""A panel as SVG: colours that the reader's page decides on, texts that stay texts, no styles and no addresses.

matplotlib's styles become attributes, which a Content-Security-Policy without inline styles lets pass.
"""

import io
import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from motorisk.modelling.card.structure import LineStyle, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 4.2, 3.2  # inches
# Colours stand for the page's: each is drawn with a colour of its own, then named.
INK, FAINT, SHADE = "#010101", "#020202", "#030303"
COLOURS = {INK: "ink", FAINT: "faint", SHADE: "shade"}
LINES: dict[LineStyle, tuple[str, str, float]] = {
    "now": ("#040404", "solid", 2.2),
    "later": ("#050505", "solid", 1.5),
    "last": ("#060606", "dashdot", 1.5),
    "champion": ("#070707", "dashed", 1.5),
}
COLOURS |= {colour: style for style, (colour, _, _) in LINES.items()}

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
# matplotlib's settings and caches belong to the whole process.
_ONE_AT_A_TIME = threading.Lock()


@lru_cache(maxsize=128)
def panel_svg(panel: Panel) -> str:
    """An `<svg>` element for a page that gives its colours: `--ink`, `--faint`, `--shade` and one a line style."""
    with _ONE_AT_A_TIME:
        drawn = _draw(panel)
    root = ET.fromstring(drawn)  # noqa: S314  matplotlib wrote it
    _tidy(root, panel)
    return ET.tostring(root, encoding="unicode")


def _draw(panel: Panel) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    output = io.StringIO()
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": panel.name, "font.size": 9, "axes.unicode_minus": True}
    ):
        figure = Figure(figsize=(WIDTH, HEIGHT))
        figure.subplots_adjust(left=0.2, right=0.97, top=0.91, bottom=0.33)
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        _plot(axes, panel)
        figure.legend(loc="lower center", ncols=2, frameon=False, labelcolor=INK, fontsize=8)
        figure.savefig(output, format="svg", transparent=True, metadata={"Date": None})
    return output.getvalue()


def _plot(axes: "Axes", panel: Panel) -> None:
    axes.set_title(_plain(panel.title), color=INK, fontsize=10)
    axes.set_xlabel(_plain(panel.x_label), color=INK)
    axes.set_ylabel(_plain(panel.y_label), color=INK)
    axes.tick_params(colors=INK, labelcolor=INK)
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    for name, spine in axes.spines.items():
        spine.set_visible(name in {"left", "bottom"})
        spine.set_color(FAINT)
    axes.update_datalim([(panel.lines[0].x[0], -panel.reach), (panel.lines[0].x[0], panel.reach)])
    if panel.ticks:
        _bars(axes, panel)
        return
    if panel.shaded is not None:
        axes.axvspan(*panel.shaded, color=SHADE, linewidth=0, zorder=0)
    axes.axhline(0.0, color=INK, linewidth=0.6)
    for line in panel.lines:
        colour, pattern, width = LINES[line.style]
        axes.plot(line.x, line.y, color=colour, linestyle=pattern, linewidth=width, label=_plain(line.label))
    axes.margins(x=0)


def _bars(axes: "Axes", panel: Panel) -> None:
    """A flag has two values and nothing between them."""
    width = 0.8 / len(panel.lines)
    for index, line in enumerate(panel.lines):
        colour, pattern, _ = LINES[line.style]
        places = [x - 0.4 + (index + 0.5) * width for x in line.x]
        face = "none" if line.style == "champion" else colour
        axes.bar(
            places, line.y, width * 0.85, facecolor=face, edgecolor=colour, linestyle=pattern, label=_plain(line.label)
        )
    axes.axhline(0.0, color=INK, linewidth=0.6)
    axes.set_xticks(range(len(panel.ticks)), panel.ticks)


def _plain(text: str) -> str:
    return text.replace("$", r"\$")


def _tidy(root: ET.Element, panel: Panel) -> None:
    """Take out what a page does not need, name the colours, and say in words what is shown."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith("}metadata") or child.tag == f"{_SVG}style":
                parent.remove(child)
    used = {value for element in root.iter() for value in _references(element)}
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        link = element.attrib.pop(_LINK, None)
        for declaration in filter(None, (part.strip() for part in element.attrib.pop("style", "").split(";"))):
            name, _, value = declaration.partition(":")
            _declare(element, name.strip(), value.strip())
        for name, value in list(element.attrib.items()):
            element.attrib[name] = re.sub(r"url\(#(.+?)\)", rf"url(#{panel.name}-\1)", COLOUR.sub(_named, value))
        if link is not None:
            element.attrib["href"] = f"#{panel.name}-{link.removeprefix('#')}"
        identifier = element.attrib.pop("id", None)
        if identifier in used:
            element.attrib["id"] = f"{panel.name}-{identifier}"
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"class": "plot", "role": "img", "aria-labelledby": f"{panel.name}-title {panel.name}-description"}
    for place, (tag, text) in enumerate((("title", f"{panel.title}: {panel.y_label}"), ("desc", panel.description))):
        named = {"id": f"{panel.name}-{'title' if tag == 'title' else 'description'}"}
        element = ET.Element(tag, named)
        element.text = text
        root.insert(place, element)


COLOUR = re.compile("|".join(COLOURS))


def _named(colour: re.Match[str]) -> str:
    return f"var(--{COLOURS[colour.group()]})"


def _references(element: ET.Element) -> list[str]:
    link = element.attrib.get(_LINK, "").removeprefix("#")
    return [link, *re.findall(r"url\(#(.+?)\)", " ".join(element.attrib.values()))]


def _declare(element: ET.Element, name: str, value: str) -> None:
    """A style's declaration as an attribute; of fonts only the size, the page has its own."""
    if name == "font":
        element.attrib["font-size"] = value.partition(" ")[0]
    elif name != "font-family":
        element.attrib[name] = value
