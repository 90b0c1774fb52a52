"""Noticing that a learner has saved, and what a new verdict says that the last one did not.

An answer consists of its file and of the modules beside it. Both are looked at by their paths, a
few times a second, and compared by their bytes: so links are followed, a folder that was replaced
is seen, and a file that is saved as it was is no change.
"""

import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from minitx.grading.course import Chapter
from minitx.grading.render_text import exercise_text
from minitx.grading.report import ExerciseReport, Report

SECONDS_BETWEEN = 0.15  # between two looks; a save is taken up in the second look that sees it
_ANSWER = re.compile(r"\d\d_|\d{4}-")  # working copies, and their backups


class Watcher:
    """Knows the bytes of all that the answers of some chapters consist of."""

    def __init__(self, work: Path, chapters: Iterable[Chapter]) -> None:
        self.work = work
        self.chapters = list(chapters)
        self._stamps = self._look()
        self._bytes = {path: _read(path) for path in self._stamps}
        self._settled = True

    def changed(self) -> list[tuple[Chapter, Path]]:
        """The answers that are to be graded again; to be asked again and again.

        A file may be seen half written: a change counts when the next look finds the same.
        """
        stamps = self._look()
        if stamps != self._stamps:
            self._stamps, self._settled = stamps, False
            return []
        if self._settled:
            return []
        self._settled = True
        now = {path: _read(path) for path in stamps}
        answers = self._answers()
        changed = {path for path in now if now[path] != self._bytes.get(path)}
        changed |= {path for path in self._bytes if path not in now and path not in answers}
        self._bytes.update(now)
        if changed - set(answers):  # a module beside them: it may be any chapter's
            changed |= {copy for c in self.chapters for copy in c.working_copies()[:1]}
        return [(answers[path], path) for path in sorted(changed) if path in answers]

    def wait(self) -> Iterator[tuple[Chapter, Path]]:
        """Answers as they are saved, without end."""
        while True:
            yield from self.changed()
            time.sleep(SECONDS_BETWEEN)

    def _answers(self) -> dict[Path, Chapter]:
        return {
            chapter.working_copy(suffix): chapter
            for chapter in self.chapters
            for suffix in (".py", ".ipynb")
        }

    def _look(self) -> dict[Path, tuple[int, ...]]:
        """For every file its size and when it was saved."""
        beside = [*self.work.glob("*.py"), *self.work.glob("*/*.py")]
        modules = [path for path in beside if not _ANSWER.match(path.name)]
        found: dict[Path, tuple[int, ...]] = {}
        for path in (*self._answers(), *modules):
            try:
                state = path.stat()
            except OSError:  # not there, or a link to itself
                continue
            found[path] = (state.st_mtime_ns, state.st_size, state.st_ino)
        return found


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError:
        return None


def news(before: Report, now: Report) -> Report:
    """The exercises whose verdict, or the words about it, are other than before."""
    known = {each.id: _told(each) for each in before.exercises}
    return replace(
        now,
        exercises=tuple(each for each in now.exercises if _told(each) != known.get(each.id)),
        problems=tuple(text for text in now.problems if text not in before.problems),
    )


def _told(report: ExerciseReport) -> str:
    """What a learner reads; the number of a line may change by what is written above it."""
    return re.sub(r"\bline \d+", "line", exercise_text(report))
