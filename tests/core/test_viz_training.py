"""Figures of training and of what a trained model does: what is on them, what is refused."""

import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from minitx import viz
from minitx.positions import Sinusoidal

from .test_viz import sizes_on_a_phone, words


@pytest.fixture(autouse=True)
def as_matplotlib_comes():
    with plt.rc_context():
        plt.rcdefaults()
        yield
        plt.close("all")


HEADS = np.random.default_rng(0).dirichlet(np.ones(7), size=(3, 5))  # (H, T_q, T_k)
ROWS = [
    {"step": i, "loss": 5 / i, "rate": i / 100, "grad_norm": math.inf if i == 1 else 2.0 / i}
    for i in range(1, 12)
]
for row in (ROWS[4], ROWS[9]):
    row["validation_loss"] = 1.5 * row["loss"]


def stack(*factors):
    """Blocks whose gradients have the length √6·factor."""
    blocks = [nn.Linear(2, 3, bias=False) for _ in factors]
    for block, factor in zip(blocks, factors, strict=True):
        block.weight.grad = torch.full((3, 2), factor)
    return blocks


FIGURES = {
    "heads": lambda: viz.attention_heads(
        HEADS, queries=list("vwxyz"), keys=list("abcdefg"), title="Heads"
    ),
    "heads, long": lambda: viz.attention_heads(
        np.full((2, 5, 20), 0.05), keys=list("abcdefghijklmnopqrst")
    ),
    "heads, one": lambda: viz.attention_heads(HEADS[:1]),
    "alignment": lambda: viz.alignment(
        HEADS[0, :2, :3], source=["two", "and", "."], target=["deux", "et"], title="Alignment"
    ),
    "curves": lambda: viz.training_curves(ROWS, title="Training"),
    "norms": lambda: viz.gradient_norms(
        {"pre-norm": stack(1.0, 2.0, 3.0), "post-norm": stack(1.0, 0.1, 0.01)}, title="Depth"
    ),
    "encodings": lambda: viz.positional_encodings(
        Sinusoidal(14).table(torch.arange(23)), title="Sinusoids"
    ),
    "spectrum": lambda: viz.positional_spectrum(
        Sinusoidal(14).table(torch.arange(23)), title="Spectrum"
    ),
}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("heads", {"head 1", "head 3", "query", "key", "weight", "Heads", "v", "z", "a", "g"}),
        ("heads, long", {"head 1", "head 2", "t"}),
        ("heads, one", {"head 1"}),
        (
            "alignment",
            {"two", "and", ".", "deux", "et", "target (written)", "source (read)", "Alignment"},
        ),
        (
            "curves",
            {"training", "validation", "loss (nats)", "gradient norm", "rate", "step", "Training"},
        ),
        (
            "norms",
            {"pre-norm", "post-norm", "block, from the bottom", "gradient norm", "Depth", "1", "3"},
        ),
        ("encodings", {"position", "feature", "value", "Sinusoids"}),
        ("spectrum", {"cycles in 23 positions", "feature", "amplitude", "Spectrum"}),
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
    drawn, page = figure.get_tightbbox(), figure.bbox_inches
    assert drawn.x0 >= page.x0 and drawn.y0 >= page.y0
    assert drawn.x1 <= page.x1 and drawn.y1 <= page.y1


@pytest.mark.parametrize("name", ["heads", "heads, long", "alignment"])
def test_names_do_not_run_into_each_other(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    for ax in figure.axes[:-1]:
        for axis in (ax.xaxis, ax.yaxis):
            boxes = [t.get_window_extent() for t in axis.get_ticklabels() if t.get_visible()]
            assert not any(
                one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i]
            )


def test_each_head_is_drawn_as_it_is():
    figure = FIGURES["heads"]()
    images = [ax.images[0] for ax in figure.axes if ax.images and ax.get_title()]
    assert len(images) == 3
    for image, head in zip(images, HEADS, strict=True):
        np.testing.assert_array_equal(image.get_array(), head)
        assert image.get_clim() == (0.0, 1.0)


def test_an_alignment_has_a_row_per_written_token():
    (image,) = FIGURES["alignment"]().axes[0].collections
    np.testing.assert_array_equal(image.get_array(), HEADS[0, :2, :3])


def drawn_lines(ax):
    return {line.get_label(): np.array(line.get_data()) for line in ax.get_lines()}


@pytest.mark.parametrize("as_file", [False, True, str], ids=["rows", "path", "name"])
def test_curves_from_rows_and_from_a_file(as_file, tmp_path):
    log = ROWS
    if as_file:
        columns = ("step", "loss", "rate", "grad_norm", "validation_loss")
        lines = [",".join(str(row.get(c, "")) for c in columns) for row in ROWS]
        log = tmp_path / "log.csv"
        log.write_text("\n".join([",".join(columns), *lines]) + "\n", encoding="utf-8")
        log = str(log) if as_file is str else log
    top, middle, bottom = viz.training_curves(log).axes
    step = np.arange(1, 12)
    np.testing.assert_allclose(drawn_lines(top)["training"], [step, 5 / step])
    np.testing.assert_allclose(drawn_lines(top)["validation"], [[5, 10], [1.5, 0.75]])
    (norms,) = drawn_lines(middle).values()
    np.testing.assert_allclose(norms[1], [np.nan, *2 / step[1:]])  # infinity leaves a gap
    (rates,) = drawn_lines(bottom).values()
    np.testing.assert_allclose(rates, [step, step / 100])


def test_curves_without_validation():
    figure = viz.training_curves([{k: v for k, v in ROWS[0].items() if k != "validation_loss"}])
    assert "validation" not in words(figure)


def test_gradient_norms_are_those_of_the_blocks():
    lines = drawn_lines(FIGURES["norms"]().axes[0])
    root = math.sqrt(6)  # of six numbers; the gradients are float32
    np.testing.assert_allclose(
        lines["pre-norm"], [[1, 2, 3], [root, 2 * root, 3 * root]], rtol=1e-6
    )
    np.testing.assert_allclose(
        lines["post-norm"], [[1, 2, 3], [root, 0.1 * root, 0.01 * root]], rtol=1e-6
    )


@pytest.mark.parametrize("T", [23, 24])
def test_the_spectrum_of_waves(T):
    p = np.arange(T)[:, None]
    table = np.concatenate(
        [
            np.full((T, 1), -0.7),
            0.5 * np.cos(2 * np.pi * 3 * p / T),
            2 * np.sin(2 * np.pi * 7 * p / T),
        ],
        axis=1,
    )
    if T % 2 == 0:
        table[:, 0] = 0.7 * (-1.0) ** p[:, 0]
    ax = viz.positional_spectrum(table).axes[0]
    amplitude = np.asarray((ax.images or ax.collections)[0].get_array())
    want = np.zeros((T // 2 + 1, 3))
    want[0 if T % 2 else T // 2, 0], want[3, 1], want[7, 2] = 0.7, 0.5, 2.0
    np.testing.assert_allclose(amplitude, want, atol=1e-12)  # sums of 24 float64 cosines


def test_drawing_into_given_axes():
    figure, axes = plt.subplots(2, 2)
    assert viz.alignment(HEADS[0], ax=axes[0, 0]) is figure
    assert axes[0, 0].get_ylabel() == "target (written)"
    assert viz.gradient_norms({"a": stack(1.0)}, ax=axes[0, 1]) is figure
    assert viz.positional_encodings(np.eye(3), ax=axes[1, 0]) is figure
    assert viz.positional_spectrum(np.eye(3), ax=axes[1, 1]) is figure
    assert not plt.rcParams["figure.constrained_layout.use"]  # the look ends with the figure


NO_GRADIENT = [nn.Linear(2, 3)]
WRONG = [
    (
        lambda: viz.attention_heads(np.zeros((3, 5))),
        "weights must have three axes (heads, queries, keys), got shape (3, 5); "
        "pick one sequence first",
    ),
    (
        lambda: viz.attention_heads(HEADS - 1),
        f"weights must lie between 0 and 1, got {HEADS.min() - 1:.4g} to {HEADS.max() - 1:.4g}",
    ),
    (
        lambda: viz.attention_heads(HEADS, queries=["a"]),
        "there must be one name per row: 5, got 1",
    ),
    (
        lambda: viz.attention_heads(HEADS, keys=["a"]),
        "there must be one name per column: 7, got 1",
    ),
    (
        lambda: viz.alignment([[2.0]]),
        "weights must lie between 0 and 1, got 2 to 2",
    ),
    (
        lambda: viz.training_curves([]),
        "log must hold step, loss, grad_norm, rate of every step, got nothing",
    ),
    (
        lambda: viz.training_curves([{"step": 1, "loss": 2.0}]),
        "log must hold step, loss, grad_norm, rate of every step, got loss, step",
    ),
    (
        lambda: viz.gradient_norms({"a": NO_GRADIENT}),
        "a block of 'a' has no gradient: call backward() first",
    ),
    (
        lambda: viz.gradient_norms({"a": stack(1.0), "b": stack(1.0, 2.0)}),
        "stacks must have the same number of blocks, at least 1; got {'a': 1, 'b': 2}",
    ),
    (
        lambda: viz.gradient_norms({}),
        "stacks must have the same number of blocks, at least 1; got {}",
    ),
    (
        lambda: viz.positional_encodings(np.zeros(3)),
        "table must have two axes (rows, columns), got shape (3,); "
        "pick one sequence and one head first",
    ),
    (
        lambda: viz.positional_spectrum(np.zeros(3)),
        "table must have two axes (rows, columns), got shape (3,); "
        "pick one sequence and one head first",
    ),
]


@pytest.mark.parametrize(("call", "text"), WRONG, ids=[text for _, text in WRONG])
def test_refusals_say_what_got_and_wanted(call, text, as_users_run):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        call()
