"""Figures: what is on them, how they look, what is refused."""

import re
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from minitx import viz

ROOT = Path(__file__).resolve().parents[2]
WEIGHTS = np.array([[0.25, 0.75, 0.0], [0.5, 0.25, 0.25]])


@pytest.fixture(autouse=True)
def as_matplotlib_comes():
    with plt.rc_context():
        plt.rcdefaults()
        yield
        plt.close("all")


def words(figure):
    """All text on the figure that is not empty."""
    figure.canvas.draw()
    return {t.get_text() for t in figure.findobj(plt.Text) if t.get_text() and t.get_visible()}


def sizes_on_a_phone(figure):
    """Pixels of each text where the figure is shown in a column 327 pixels wide."""
    wide = figure.get_figwidth() * 72
    return [
        t.get_fontsize() * 327 / wide
        for t in figure.findobj(plt.Text)
        if re.search(r"\w", t.get_text()) and "^" not in t.get_text()  # powers of ten on log axes
    ]


FIGURES = {
    "heatmaps": lambda: viz.attention_heatmaps(
        {"right": WEIGHTS, "wrong": WEIGHTS / 2}, keys=["the", "cat", "."]
    ),
    "heatmap": lambda: viz.attention_heatmap(
        WEIGHTS, queries=["le", "chat"], keys=["the", "cat", "."], title="Alignment"
    ),
    "table": lambda: viz.heat_table(
        [[1.0, -np.inf], [2.0, 3.0]], row_axis="query", column_axis="key", label="score"
    ),
    "grid": lambda: viz.heat_grid(
        {"ALiBi": WEIGHTS, "rotary": -WEIGHTS, "none": np.zeros((2, 3))}
    ),
    "lines": lambda: viz.lines(
        [64, 128], {"loops": [1.0, 4.0], "matrices": [0.1, 0.2]},
        xlabel="length T", ylabel="time (ms)", scale="log-log", title="Time",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("heatmap", {"le", "chat", "the", "cat", ".", "query", "key", "Alignment", "0.75"}),
        ("heatmaps", {"right", "wrong", "the", "query", "key", "0.75", "0.38"}),
        ("table", {"query", "key", "1", "−∞", "3"}),
        ("lines", {"length T", "time (ms)", "loops", "matrices", "64", "128", "Time"}),
    ],
)
def test_a_figure_says_what_it_shows(name, wanted):
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert wanted <= words(figure)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_legible_in_dark_mode_and_on_a_phone(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    for face in (figure.get_facecolor(), *(ax.get_facecolor() for ax in figure.axes)):
        assert face[3] == 1.0 and min(face[:3]) > 0.95, "the background must be opaque and light"
    assert min(sizes_on_a_phone(figure)) >= 11


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_cut_off_at_the_edge(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    drawn, page = figure.get_tightbbox(), figure.bbox_inches
    assert drawn.x0 >= page.x0 and drawn.y0 >= page.y0
    assert drawn.x1 <= page.x1 and drawn.y1 <= page.y1


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_numbers_stand_out_from_their_cells():
    """On the ground of the page, light and dark, under the strongest colour."""
    css = (ROOT / "book/_static/custom.css").read_text(encoding="utf-8")
    for theme in ("light", "dark"):
        block = re.search(rf'data-theme="{theme}"\] \{{(.*?)\n}}', css, re.S)[1]
        colours = dict(re.findall(r"--minitx-(\w+): (#\w{6});", block))
        for cell in ("amount", "debt", "paper"):
            assert contrast(colours["ink"], colours[cell]) >= 4.5, (theme, cell)
        for letters in ("q", "k", "v", "score", "rose", "ochre"):
            assert contrast(colours[letters], colours["paper"]) >= 4.5, (theme, letters)


def contrast(one, other):
    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_forbidden_cell_is_hatched_and_has_no_number():
    ax = FIGURES["heatmap"]().axes[0]
    (hatched,) = ax.patches
    assert hatched.get_hatch() and hatched.get_xy() == (1.5, -0.5)  # row 0, column 2
    assert {text.get_position() for text in ax.texts} == {(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)}


@pytest.mark.parametrize(
    ("names", "turned"),
    [
        ("the cat sat because it was tired", 0),  # a long one between two short ones
        ("fünf hundert neun und zwanzig ⟨end⟩", 0),
        ("international understanding of consequences", 90),
    ],
)
def test_names_of_columns_are_turned_only_where_they_would_touch(names, turned):
    columns = names.split()
    figure = viz.attention_heatmap(np.full((3, len(columns)), 0.1), keys=columns)
    figure.canvas.draw()
    labels = figure.axes[0].get_xticklabels()
    assert {label.get_rotation() for label in labels} == {turned}
    boxes = [label.get_window_extent() for label in labels]
    assert not any(one.overlaps(other) for one, other in pairwise(boxes))


def test_a_table_with_signs_begins_at_zero():
    (mesh,) = viz.heat_table([[-1.0, 3.0]]).axes[0].collections
    assert mesh.get_clim() == (-3.0, 3.0)
    assert mesh.cmap(0.5)[3] == pytest.approx(0, abs=0.01)  # nothing is the ground itself


def test_lines_are_told_apart_without_colour():
    series = {f"series {i}": [i, i + 1] for i in range(9)}
    figure = viz.lines([1, 2], series, xlabel="x", ylabel="y")
    drawn = figure.axes[0].get_lines()
    assert len({line.get_marker() for line in drawn[:7]}) == 7
    assert len({line.get_color() for line in drawn[:7]}) == 7
    assert [line.get_linestyle() for line in drawn] == ["-"] * 7 + ["--"] * 2


def test_many_lines_are_named_at_their_ends():
    series = {f"series {i}": [1, i * 0.01] for i in range(5)}  # they end close together
    figure = viz.lines([1, 2], series, xlabel="x", ylabel="y")
    ax = figure.axes[0]
    assert ax.get_legend() is None
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert [text.get_text() for text in ax.texts] == list(series)  # from the bottom up
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    assert [t.get_color() for t in ax.texts] == [line.get_color() for line in ax.get_lines()]


@pytest.mark.parametrize("free", [True, False])
def test_a_line_that_ends_early_is_named_at_its_own_end_where_nothing_is_hidden(free):
    series = {f"series {i}": [i, i, i, i, i] for i in range(4)}
    early = {"early": [0.5 if free else 0.9, *[0.5 if free else 0.95] * 2, np.nan, np.nan]}
    figure = viz.lines(range(5), series | early, xlabel="x", ylabel="y")
    [name] = [text for text in figure.axes[0].texts if text.get_text() == "early"]
    assert name.xy[0] == (2 if free else 4)
    figure.canvas.draw()
    box = name.get_window_extent()
    ends = [line.get_path().transformed(line.get_transform()) for line in
            figure.axes[0].get_lines()]  # fmt: skip
    assert not any(end.intersects_bbox(box, filled=False) for end in ends)


def test_pictures_side_by_side_do_not_share_colours():
    one = viz.lines([1, 2], {"a": [1, 2], "b": [2, 3]}, xlabel="x", ylabel="y").axes[0]
    other = viz.lines([1, 2], {"c": [1, 2]}, xlabel="x", ylabel="y", first=2).axes[0]
    drawn = [*one.get_lines(), *other.get_lines()]
    assert len({line.get_color() for line in drawn}) == 3
    assert len({line.get_marker() for line in drawn}) == 3


@pytest.mark.parametrize("free", [True, False])
def test_a_legend_never_lies_on_a_line(free):
    x = np.linspace(0, 1, 200)
    everywhere = 0.5 + 0.5 * np.sin(300 * x)
    figure = viz.lines(x, {"a": x, "b": x**2 if free else everywhere}, xlabel="x", ylabel="y")
    assert (figure.axes[0].get_legend() is not None) == free
    assert {"a", "b"} <= words(figure)


def test_bands_go_from_the_lowest_to_the_highest_around_the_mean():
    measured = {"a": [[1, 2, 6], [4, 4, 4]], "b": [[0, 0, 0], [1, 2, 3]]}
    ax = viz.banded_lines([1, 2], measured, xlabel="x", ylabel="y", scale="log-x").axes[0]
    assert [line.get_ydata().tolist() for line in ax.get_lines()] == [[3, 4], [0, 2]]
    for line, band, values in zip(ax.get_lines(), ax.collections, measured.values(), strict=True):
        path = band.get_paths()[0].vertices
        assert {tuple(point) for point in path} == {
            (x, edge(row)) for x, row in zip((1, 2), values, strict=True) for edge in (min, max)
        }
        assert to_hex(band.get_facecolor()[0]) == line.get_color()
    assert ax.get_xscale() == "log"


@pytest.mark.parametrize(
    ("scale", "axes"),
    [
        ("linear", ("linear", "linear")),
        ("log-log", ("log", "log")),
        ("log-x", ("log", "linear")),
        ("log-y", ("linear", "log")),
    ],
)
def test_scales_of_lines(scale, axes):
    ax = viz.lines([1, 2], {"a": [1, 2]}, xlabel="x", ylabel="y", scale=scale).axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == axes


def test_a_tensor_with_a_gradient_can_be_drawn():
    weights = torch.randn(3, 5, requires_grad=True).softmax(dim=-1)
    (image,) = viz.attention_heatmap(weights).axes[0].collections
    np.testing.assert_array_equal(image.get_array(), weights.detach().double().numpy())
    viz.heat_table(weights.bfloat16())
    viz.lines(torch.arange(3), {"a": torch.randn(3, requires_grad=True)}, xlabel="x", ylabel="y")


def test_a_heatmap_has_the_scale_of_a_probability():
    (mesh,) = viz.attention_heatmap(np.full((2, 2), 0.5)).axes[0].collections
    assert mesh.get_clim() == (0.0, 1.0)


def test_a_large_table_has_no_numbers():
    figure = viz.attention_heatmap(np.full((40, 40), 1 / 40))
    assert not figure.axes[0].texts
    assert figure.axes[1].get_ylabel() == "weight"  # a bar says what the colours mean
    assert len(FIGURES["heatmap"]().axes) == 1  # and there is none where numbers say it


def test_drawing_into_given_axes():
    figure, axes = plt.subplots(1, 2)
    assert viz.attention_heatmap(WEIGHTS, ax=axes[0]) is figure
    assert viz.lines([1, 2], {"a": [1, 2]}, xlabel="x", ylabel="y", ax=axes[1]) is figure
    assert axes[0].collections and axes[1].lines


def test_style_ends_with_its_block_or_stays():
    before = dict(plt.rcParams)
    with viz.style():
        assert plt.rcParams["figure.facecolor"] == viz.BACKGROUND
    assert dict(plt.rcParams) == before
    with plt.rc_context():
        viz.style()
        assert plt.rcParams["figure.facecolor"] == viz.BACKGROUND
    viz.attention_heatmap(WEIGHTS)
    assert dict(plt.rcParams) == before


def test_a_grid_has_one_map_per_table_each_on_its_own_scale():
    figure = viz.heat_grid({"small": WEIGHTS / 1000, "large": -WEIGHTS, "none": 0 * WEIGHTS})
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title() for ax in shown] == ["small", "large", "none: all equal"]
    limits = [ax.images[0].get_clim() for ax in shown]
    assert limits == [(0.0, 0.00075), (-0.75, 0.0), (-1.0, 1.0)]  # the last: a middle tone
    assert [ax.get_xlabel() for ax in shown] == ["", "key", "key"]


WRONG = [
    (
        lambda: viz.attention_heatmap(np.zeros((2, 3, 5))),
        "weights must have two axes (rows, columns), got shape (2, 3, 5); "
        "pick one sequence and one head first",
    ),
    (
        lambda: viz.heat_table(np.zeros((0, 3))),
        "values must have two axes (rows, columns), got shape (0, 3); "
        "pick one sequence and one head first",
    ),
    (
        lambda: viz.attention_heatmap([[0.5, -2.0]]),
        "weights must lie between 0 and 1, got -2 to 0.5",
    ),
    (
        lambda: viz.attention_heatmap([[0.5, np.nan]]),
        "weights must lie between 0 and 1, got nan to nan",
    ),
    (
        lambda: viz.attention_heatmaps({"a": WEIGHTS, "b": WEIGHTS.T}),
        "weights must be tables of one shape, got {'a': (2, 3), 'b': (3, 2)}",
    ),
    (
        lambda: viz.attention_heatmaps({}),
        "weights must be tables of one shape, got {}",
    ),
    (
        lambda: viz.heat_grid({"a": WEIGHTS, "b": WEIGHTS.T}),
        "values must be tables of one shape, got {'a': (2, 3), 'b': (3, 2)}",
    ),
    (lambda: viz.heat_grid({}), "values must be tables of one shape, got {}"),
    (
        lambda: viz.attention_heatmap(WEIGHTS, queries=["a"]),
        "there must be one name per row: 2, got 1",
    ),
    (
        lambda: viz.attention_heatmap(WEIGHTS, keys=["a"]),
        "there must be one name per column: 3, got 1",
    ),
    (
        lambda: viz.lines([1, 2], {"a": [1, 2, 3]}, xlabel="x", ylabel="y"),
        "series 'a' must have one number per x: x has shape (2,), the series (3,)",
    ),
    (
        lambda: viz.lines([1], {"a": [1]}, xlabel="x", ylabel="y", scale="log"),
        "scale must be linear, log-log, log-x or log-y, got 'log'",
    ),
]


@pytest.mark.parametrize(("call", "text"), WRONG, ids=[text for _, text in WRONG])
def test_refusals_say_what_got_and_wanted(call, text, as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call()
