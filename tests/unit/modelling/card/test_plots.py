"""Panels as SVG."""

from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree as ET

from motorisk.modelling.card.plots import panel_svg
from motorisk.modelling.card.structure import Card, Line, Panel

LINE = Line("now", "now", (0.0, 1.0, 2.0), (0.0, 0.5, 1.0))


def panel(*lines: Line, **changes: object) -> Panel:
    values = {"name": "p", "title": "t", "x_label": "x", "y_label": "y", "lines": lines or (LINE,), "description": "d"}
    return Panel(**{**values, **changes})  # type: ignore[arg-type]


def elements(svg: str) -> list[ET.Element]:
    return list(ET.fromstring(svg).iter())  # noqa: S314  our own


def test_colours_are_the_pages_and_no_style_is_inline(card: Card) -> None:
    for shown in card.panels.values():
        for element in elements(panel_svg(shown)):
            assert "style" not in element.attrib
            for name in ("fill", "stroke"):
                colour = element.attrib.get(name, "none")
                assert colour == "none" or colour.startswith(("var(--", "url(#")), (shown.name, colour)


def test_the_champion_is_dashed_and_the_support_shaded(card: Card) -> None:
    found = elements(panel_svg(card.panels["term-age"]))
    champion = [element for element in found if element.attrib.get("stroke") == "var(--champion)"]
    assert champion
    assert all("stroke-dasharray" in element.attrib for element in champion)
    assert [element.attrib.get("fill") for element in found].count("var(--shade)") == 1


def test_a_plot_says_in_words_what_it_shows(card: Card) -> None:
    found = {element.tag: element.text for element in elements(panel_svg(card.panels["term-power"]))}
    assert found["title"] == "power: risk index against average"
    assert found["desc"] == card.panels["term-power"].description


def test_names_and_labels_are_text_whatever_they_hold() -> None:
    odd = "$\\frac{1}{<b>&amp;}$ ]]>"
    texts = [
        element.text for element in elements(panel_svg(panel(Line(odd, "now", (0.0, 1.0), (0.0, 1.0)), title=odd)))
    ]
    assert texts.count(odd) >= 2


def test_a_plot_makes_little_of_little() -> None:
    tiny = Line("now", "now", (0.0, 1.0), (0.0, 1e-9))
    texts = [element.text or "" for element in elements(panel_svg(panel(tiny, reach=0.01)))]
    assert "0.010" in texts
    assert not [text for text in texts if "e" in text and "−" in text]


def test_a_flat_line_and_a_single_value_can_be_drawn() -> None:
    for line in (Line("now", "now", (0.0, 1.0), (0.0, 0.0)), Line("now", "now", (3.0,), (1.0,))):
        assert panel_svg(panel(line, shaded=(3.0, 3.0))).startswith("<svg")


def test_panels_can_be_drawn_at_once(card: Card) -> None:
    panels = list(card.panels.values())
    panel_svg.cache_clear()
    alone = [panel_svg(shown) for shown in panels]
    panel_svg.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(panel_svg, panels)) == alone
