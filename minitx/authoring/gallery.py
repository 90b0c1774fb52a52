"""A gallery of mistakes: what each gives for one small input, beside what is right."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from minitx.grading.course import find_course
from minitx.grading.registry import Mistake, display_id
from minitx.grading.values import is_tensor, to_numpy
from minitx.viz.drawings import mistake_pair

MOST = 6


@dataclass(frozen=True)
class Gallery:
    """The pictures of one exercise; a notebook shows them side by side."""

    pictures: tuple[tuple[str, str], ...]  # what is said of a mistake, and its drawing as SVG
    made: int

    def __repr__(self) -> str:
        return f"{len(self.pictures)} of {self.made} mistakes"

    def _repr_html_(self) -> str:
        figures = "\n".join(
            f"<figure>{svg}<figcaption>{_as_html(words)}</figcaption></figure>"
            for words, svg in self.pictures
        )
        return f'<div class="gallery">\n{figures}\n</div>'


def gallery(exercise_id: str, *arguments: Any, most: int = MOST) -> Gallery:
    """The first mistakes of an exercise that show on this input, no two of them alike.

    Args:
        exercise_id: "02.3".
        arguments: of one call. The result, or the first part of it that is wrong, must fit into a
            table of 6 × 6, axes of length 1 left out.
        most: pictures.

    Raises:
        ValueError: if no mistake shows on this input.
    """
    course = find_course()
    exercise = course.exercise(exercise_id)
    reference = course.chapter(exercise.chapter).reference()
    if reference is None:
        raise ValueError(f"there is no worked answer to {display_id(exercise_id)}")
    right = _parts(reference.functions[exercise.function], arguments)
    pictures: dict[bytes, tuple[str, str]] = {}
    for mistake in exercise.mistakes.values():
        for want, got in zip(right or (), _parts(mistake.function, arguments) or (), strict=False):
            same = want.shape == got.shape and np.allclose(want, got, 1e-4, 1e-6, equal_nan=True)
            if not same:
                if max(*got.shape, 1) <= MOST and got.ndim <= 2:
                    key = np.round(got.astype(float), 3).tobytes()
                    pictures.setdefault(key, (_words(mistake), _picture(mistake, want, got)))
                break
    if not pictures:
        raise ValueError(f"no mistake in {display_id(exercise_id)} shows on this input")
    return Gallery(tuple(pictures.values())[:most], len(exercise.mistakes))


def _parts(function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[np.ndarray] | None:
    """What a call gives, as arrays; None if it raises or gives something else."""
    copies = [x.clone() if is_tensor(x) else np.copy(x) if hasattr(x, "shape") else x
              for x in arguments]  # fmt: skip
    try:
        with (
            np.errstate(all="ignore"),
            redirect_stdout(io.StringIO()),
            redirect_stderr(io.StringIO()),
        ):
            result = function(*copies)
        return list(_arrays(result))
    except Exception:
        return None


def _arrays(result: Any) -> Iterator[np.ndarray]:
    for part in result if isinstance(result, tuple) else (result,):
        array = np.asarray(to_numpy(part))
        yield array.squeeze() if array.ndim > 2 else array


def _words(mistake: Mistake) -> str:
    return mistake.sentence[0].upper() + mistake.sentence[1:]


def _as_html(words: str) -> str:
    """With code between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(words))


def _picture(mistake: Mistake, want: np.ndarray, got: np.ndarray) -> str:
    return mistake_pair(want, got, title=f"Mistake {mistake.id.replace('/', ' ')}").svg()
