"""The figures a reader can play with show what minitx computes, and obey the keyboard."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Locator, Page, expect

from minitx import numpy_core
from minitx.functional import masked_softmax

pytestmark = pytest.mark.browser

PLACES = {
    "soft-lookup": "book/01_attention_intuition.html",
    "softmax-scale": "book/02_self_attention.html",
    "mask-editor": "book/02_self_attention.html",
}
TEMPERATURES = [0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, math.inf]


@pytest.fixture
def open_page(browser: Browser, html: Path) -> Iterator[Any]:
    contexts = []

    def opened(name: str, **settings: Any) -> Page:
        context = browser.new_context(offline=True, **settings)
        contexts.append(context)
        context.route("**/mathjax/**", lambda route: route.abort())  # takes long; not needed here
        page = context.new_page()
        page.goto((html / PLACES[name]).as_uri(), wait_until="domcontentloaded")
        return page

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def figure(open_page: Any, request: pytest.FixtureRequest) -> Locator:
    """The figure that the test's parameter or name asks for, freshly loaded."""
    name: str = request.param
    page: Page = open_page(name)
    return page.locator(f".playable-ready[data-playable={name}]")


def shown(figure: Locator, cells: str) -> np.ndarray:
    """The numbers in these cells, with all their digits."""
    numbers = figure.locator(cells).evaluate_all("all => all.map(e => e.dataset.value)")
    assert numbers and None not in numbers
    return np.array([float(number) for number in numbers])


def data(figure: Locator, name: str) -> Any:
    return json.loads(figure.get_attribute(f"data-{name}") or "null")


def rounded(figure: Locator, cells: str) -> list[str]:
    return [text.replace("−", "-") for text in figure.locator(cells).all_inner_texts()]


WEIGHTS = "td.playable-bar .playable-number"


def looked_up(figure: Locator, query: list[float], temperature: float) -> None:
    """Asserts that weights and result are those of `soft_lookup`."""
    keys = np.array(data(figure, "keys"), dtype=float)
    values = np.array(data(figure, "values"), dtype=float).reshape(len(keys), -1)
    at = np.array(query, dtype=float)
    weights = numpy_core.soft_lookup(at, keys, np.eye(len(keys)), temperature=temperature)
    np.testing.assert_allclose(shown(figure, WEIGHTS), weights, rtol=1e-12, atol=1e-15)
    assert rounded(figure, WEIGHTS) == [f"{weight:.3f}" for weight in weights]
    result = numpy_core.soft_lookup(at, keys, values, temperature=temperature)
    np.testing.assert_allclose(shown(figure, ".playable-result strong"), result, rtol=1e-12)


@pytest.mark.parametrize("figure", ["soft-lookup"], indirect=True)
def test_soft_lookup_starts_where_the_page_says(figure: Locator) -> None:
    looked_up(figure, data(figure, "query"), float(data(figure, "temperature")))


@pytest.mark.parametrize("figure", ["soft-lookup"], indirect=True)
def test_soft_lookup_obeys_the_arrow_keys(figure: Locator) -> None:
    x, y = data(figure, "query")
    step = 0.1
    handle = figure.get_by_role("slider", name="query")
    handle.focus()
    for key, dx, dy in (("ArrowRight", 1, 0), ("ArrowUp", 0, 1), ("ArrowLeft", -1, 0)):
        for _ in range(2):
            handle.press(key)
            x, y = x + dx * step, y + dy * step
        looked_up(figure, [round(x, 6), round(y, 6)], float(data(figure, "temperature")))
    assert handle.get_attribute("aria-valuetext") == f"{x:.2f} across, {y:.2f} up"
    handle.press("Home")
    looked_up(figure, data(figure, "query"), float(data(figure, "temperature")))


@pytest.mark.parametrize("figure", ["soft-lookup"], indirect=True)
def test_soft_lookup_at_every_temperature(figure: Locator) -> None:
    slider = figure.get_by_label("temperature")
    slider.press("Home")
    for place, temperature in enumerate(TEMPERATURES):
        if place:
            slider.press("ArrowRight")
        looked_up(figure, data(figure, "query"), temperature)
    assert slider.get_attribute("aria-valuetext") == "∞: plain average"


@pytest.mark.parametrize("figure", ["soft-lookup"], indirect=True)
def test_soft_lookup_reaches_the_query_that_undoes_temperature_two(figure: Locator) -> None:
    """The page asks for it: twice the query at twice the temperature has the first weights."""
    start = shown(figure, WEIGHTS)
    figure.get_by_label("temperature").press("ArrowRight")
    assert not np.allclose(start, shown(figure, WEIGHTS), atol=0.05)
    x, y = data(figure, "query")
    handle = figure.get_by_role("slider", name="query")
    for key, places in (("ArrowRight", x), ("ArrowUp", y)):
        for _ in range(round(places / 0.1)):
            handle.press(key)
    np.testing.assert_allclose(shown(figure, WEIGHTS), start, rtol=1e-12)


@pytest.mark.parametrize("figure", ["soft-lookup"], indirect=True)
def test_soft_lookup_can_be_dragged(figure: Locator) -> None:
    before = shown(figure, WEIGHTS)
    handle = figure.get_by_role("slider", name="query")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    assert box is not None
    mouse = figure.page.mouse
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.down()
    mouse.move(box["x"] - 60, box["y"] + 80, steps=3)
    mouse.up()
    where = [float(part.split()[0]) for part in position(handle).split(",")]
    assert where != data(figure, "query")
    assert not np.allclose(before, shown(figure, WEIGHTS))
    looked_up(figure, where, float(data(figure, "temperature")))


@pytest.mark.parametrize("figure", ["soft-lookup"], indirect=True)
def test_soft_lookup_has_the_books_colours(figure: Locator) -> None:
    """Query blue, keys orange, values green, as the start page promises."""
    for theme in ("light", "dark"):
        wrong = figure.evaluate(
            """(figure, theme) => {
                document.documentElement.dataset.theme = theme;
                const pen = document.createElement("span");
                figure.append(pen);
                const of = (role) => {
                    pen.style.color = `var(--minitx-${role})`;
                    return getComputedStyle(pen).color;
                };
                const wanted = [
                    [".playable-handle", "stroke", "q"], [".playable-arrow", "stroke", "q"],
                    [".playable-result span", "color", "q"], [".playable-key", "fill", "k"],
                    ["tbody th", "color", "k"], ["tbody td", "color", "v"],
                    [".playable-result strong", "color", "v"],
                ];
                const wrong = wanted.filter(([selector, property, role]) =>
                    getComputedStyle(figure.querySelector(selector))[property] !== of(role));
                pen.remove();
                return wrong;
            }""",
            theme,
        )
        assert wrong == []


@pytest.mark.parametrize("figure", ["soft-lookup"], indirect=True)
def test_the_querys_line_runs_through_no_name_of_a_key(figure: Locator) -> None:
    handle = figure.get_by_role("slider", name="query")
    handle.focus()
    for key in ["Home"] + ["ArrowDown"] * 40 + ["ArrowLeft"] * 40 + ["ArrowUp"] * 40:
        handle.press(key)
        crossed = figure.locator(".playable-plane").evaluate(
            """svg => {
                const arrow = svg.querySelector(".playable-arrow");
                const [x1, y1, x2, y2] = ["x1", "y1", "x2", "y2"]
                    .map(name => Number(arrow.getAttribute(name)));
                const along = [...Array(101).keys()].map(i => i / 100)
                    .map(t => [x1 + t * (x2 - x1), y1 + t * (y2 - y1)]);
                return [...svg.querySelectorAll("text")].filter(text => {
                    const { x, y, width, height } = text.getBBox();
                    return along.some(([a, b]) =>
                        a > x && a < x + width && b > y && b < y + height);
                }).map(text => text.textContent);
            }"""
        )
        assert crossed == [], position(handle)


def position(handle: Locator) -> str:
    return (handle.get_attribute("aria-valuetext") or "").replace("−", "-")


@pytest.mark.parametrize("figure", ["softmax-scale"], indirect=True)
def test_softmax_scale_at_every_width(figure: Locator) -> None:
    scores = np.array(data(figure, "scores"))
    slider, box = figure.get_by_role("slider"), figure.get_by_role("checkbox")

    def compare(d: int, scaled: bool) -> None:
        weights = numpy_core.softmax(scores * (1.0 if scaled else math.sqrt(d)))
        np.testing.assert_allclose(shown(figure, WEIGHTS), weights, rtol=1e-12, atol=1e-300)
        largest, slope = weights.max(), (weights * (1 - weights)).max()
        np.testing.assert_allclose(shown(figure, ".playable-largest"), [largest], rtol=1e-12)
        # 1 - a loses digits where a is nearly 1.
        np.testing.assert_allclose(shown(figure, ".playable-slope"), [slope], atol=1e-15)
        on_the_curve(figure, largest, slope)

    compare(data(figure, "dk") or 64, bool(data(figure, "scaled")))
    for scaled in (False, True):
        if box.is_checked() != scaled:
            box.press("Space")
        slider.press("Home")
        for power in range(11):
            if power:
                slider.press("ArrowRight")
            compare(2**power, scaled)


def on_the_curve(figure: Locator, weight: float, slope: float) -> None:
    """The point is as high as the weight, its tangent as steep as the slope."""
    drawn = figure.locator(".playable-curve").evaluate(
        """svg => {
             const of = (selector, ...names) =>
               names.map(name => Number(svg.querySelector(selector).getAttribute(name)));
             const [low, high] = of(".playable-axis", "y2", "y1");
             const [cx, cy] = of(".playable-point", "cx", "cy");
             const [x1, y1, x2, y2] = of(".playable-tangent", "x1", "y1", "x2", "y2");
             return {weight: (low - cy) / (low - high), middle: (x1 + x2) / 2 - cx,
                     rise: (y1 - y2) / (low - high), width: svg.viewBox.baseVal.width, cx};
           }"""
    )
    assert drawn["weight"] == pytest.approx(weight, abs=1e-5)
    assert drawn["middle"] == pytest.approx(0.0, abs=1e-6)
    assert drawn["rise"] == pytest.approx(4 * slope, abs=1e-4)  # over four units of score
    assert 0 <= drawn["cx"] <= drawn["width"]


CELLS = ".playable-cell"


def masked(figure: Locator, allowed: np.ndarray) -> None:
    """Asserts that the grid shows `masked_softmax`, and says which cells are allowed."""
    scores = torch.tensor(data(figure, "scores"), dtype=torch.float64)
    weights = masked_softmax(scores, torch.tensor(allowed)).numpy()
    np.testing.assert_allclose(shown(figure, CELLS), weights.ravel(), rtol=1e-12, atol=1e-15)
    assert rounded(figure, CELLS) == [f"{weight:.2f}" for weight in weights.ravel()]
    np.testing.assert_allclose(shown(figure, ".playable-sum"), allowed.any(axis=1), rtol=1e-12)
    pressed = figure.locator(CELLS).evaluate_all("all => all.map(e => e.ariaPressed)")
    assert pressed == [str(each).lower() for each in allowed.ravel().tolist()]


@pytest.mark.parametrize("figure", ["mask-editor"], indirect=True)
def test_mask_editor_presets(figure: Locator) -> None:
    T = len(data(figure, "tokens"))
    masks = {
        "none": np.ones((T, T), dtype=bool),
        "causal": numpy_core.causal_allowed(T, T),
        "padding": np.arange(T) < np.full((T, 1), data(figure, "length") or T - 2),
    }
    masks["causal and padding"] = masks["causal"] & masks["padding"]
    masked(figure, masks[data(figure, "preset") or "none"])
    for name, allowed in masks.items():
        figure.get_by_role("button", name=name, exact=True).press("Enter")
        masked(figure, allowed)
        pressed = figure.locator(".playable-controls [aria-pressed=true]")
        assert pressed.all_inner_texts() == [name]
    figure.locator(CELLS).first.press("Space")
    assert figure.locator(".playable-controls [aria-pressed=true]").count() == 0


@pytest.mark.parametrize("figure", ["mask-editor"], indirect=True)
def test_mask_editor_obeys_the_keyboard_down_to_an_empty_row(figure: Locator) -> None:
    T = len(data(figure, "tokens"))
    figure.get_by_role("button", name="none", exact=True).press("Enter")
    allowed = np.ones((T, T), dtype=bool)
    page = figure.page
    page.keyboard.press("Tab")  # causal
    page.keyboard.press("Tab")  # padding
    page.keyboard.press("Tab")  # causal and padding
    page.keyboard.press("Tab")  # into the grid: one stop for all of it
    page.keyboard.press("ArrowDown")
    for column in range(T):
        page.keyboard.press("Space")
        allowed[1, column] = False
        masked(figure, allowed)
        page.keyboard.press("ArrowRight")
    assert (shown(figure, CELLS).reshape(T, T)[1] == 0).all()


def test_cells_are_large_enough_for_a_finger(open_page: Any) -> None:
    page = open_page("mask-editor", viewport={"width": 375, "height": 800})
    sizes = page.locator(f".playable[data-playable=mask-editor] {CELLS}").evaluate_all(
        "all => all.map(e => [e.offsetWidth, e.offsetHeight])"
    )
    assert sizes and min(min(size) for size in sizes) >= 44


@pytest.mark.parametrize("name", PLACES)
def test_without_scripts_there_is_a_table_instead(open_page: Any, name: str) -> None:
    page = open_page(name, java_script_enabled=False)
    place = page.locator(f".playable[data-playable={name}]")
    assert place.locator("table").is_visible()
    assert place.locator("p").first.is_visible()
    assert place.locator("input, button, svg").count() == 0


@pytest.mark.parametrize("figure", PLACES, indirect=True)
def test_with_scripts_the_figure_replaces_the_table(figure: Locator) -> None:
    assert figure.locator("> div[hidden] table").count() == 1
    assert not figure.locator("> div[hidden]").is_visible()


@pytest.mark.parametrize("figure", PLACES, indirect=True)
def test_focus_can_be_seen(figure: Locator) -> None:
    """Every control that the Tab key reaches is outlined while it has the focus."""
    controls = figure.locator("button, input, [role=slider]")
    for control in controls.all()[:12]:
        control.evaluate("e => e.focus({focusVisible: true})")
        outline = control.evaluate("e => getComputedStyle(e).outlineStyle")
        assert outline != "none"


@pytest.mark.parametrize("figure", PLACES, indirect=True)
def test_a_change_is_said_once_the_reader_pauses(figure: Locator) -> None:
    status = figure.get_by_role("status")
    figure.locator("input[type=range], .playable-cell[tabindex='0']").first.press("ArrowRight")
    if figure.locator(CELLS).count():
        figure.page.keyboard.press("Space")
    expect(status).to_have_text(re.compile(r"\.\s*$"), timeout=300_000)
