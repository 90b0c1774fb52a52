"""The picture that moves: its weights are a translator's, and it stands still where it should."""

import re
from xml.etree import ElementTree

import pytest

from minitx.projects import alignment, translation
from minitx.projects.translators import GERMAN
from minitx.viz.drawings import motion, translation_in_motion
from tests.core.test_drawings import faults

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.slow
def test_the_weights_are_those_that_the_translator_learns():
    """To a few hundredths, as rounding differs from processor to processor."""
    found = alignment.align(translation.learned(GERMAN), GERMAN.read("524"))
    assert found.source[:-1] == [*motion.SOURCE]
    assert [word.strip() for word in found.target[:-1]] == [*motion.TARGET]
    weights = found.weights[0, 0, :-1, :-1]
    kept = weights.new_tensor(motion.WEIGHTS)
    assert (weights.argmax(dim=1) == kept.argmax(dim=1)).all()
    assert (weights - kept).abs().max() < 0.1


def test_it_moves_only_where_motion_is_welcome_and_can_be_stopped():
    svg = translation_in_motion().svg()
    style = re.search(r"<style>(.*)</style>", svg)[1]
    (media,) = re.findall(r"@media ([^{]*)\{\.minitx-move\{animation:", style)
    assert media == "screen and (prefers-reduced-motion:no-preference)"
    assert style.count("animation:") == 1
    assert "svg:has(.minitx-pause :checked) .minitx-move{animation-play-state:paused}" in style
    assert 'role="group"' in svg  # the box to tick can be reached
    named = {*re.findall(r"animation-name:(minitx-\w+-\d)", svg)}
    assert named == {*re.findall(r"@keyframes (minitx-\w+-\d)", style)}
    assert len(named) == 3 * len(motion.TARGET)


def test_keyframes_stand_in_order():
    for frames in re.findall(r"@keyframes [\w-]+\{(.*?\})\}", translation_in_motion().svg()):
        places = [float(place) for place in re.findall(r"([\d.]+)%", frames)]
        assert places == sorted(places), frames
        assert (places[0], places[-1]) == (0, 100)


def test_lines_are_as_thick_as_the_weights():
    drawing = translation_in_motion([[0.75, 0.25], [0.01, 0.99]], ["a", "b"], ["c", "d"])
    assert faults(drawing) == []
    root = ElementTree.fromstring(drawing.svg())
    widths = [float(tag.attrib["stroke-width"]) for tag in root.iter(f"{SVG}path")]
    assert widths == pytest.approx([1 + 8 * w for w in (0.75, 0.25, 0.99)], abs=0.01)
    assert "c from a (0.75), d from b (0.99)" in drawing.alt


def test_refusals():
    with pytest.raises(ValueError, match="source must be 2 words, at most 5, got 1"):
        translation_in_motion([[0.5, 0.5]], ["a"], ["b"])
    with pytest.raises(ValueError, match="target must be 6 words, at most 5, got 6"):
        translation_in_motion([[1.0]] * 6, ["a"], ["b"] * 6)
    with pytest.raises(ValueError, match="weights must lie between 0 and 1"):
        translation_in_motion([[2.0]], ["a"], ["b"])
