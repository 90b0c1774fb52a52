"""Looking again whenever the learner saves, at what has changed only."""

import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from watchfiles import Change, watch

from minitx.grading.course import Chapter, Course
from minitx.grading.errors import CourseError
from minitx.grading.judge.assess import assess_all
from minitx.grading.learner.changes import fingerprints, unreadable
from minitx.grading.report import Report
from minitx.grading.worker.loading import load
from minitx.grading.worker.local import LocalCaller

_SUFFIXES = (".py", ".ipynb")


class Watcher:
    """Knows how each exercise's code looked when it was last graded."""

    def __init__(self, course: Course, chapters: Iterable[Chapter], seed: int = 0) -> None:
        self.course = course
        self.chapters = list(chapters)
        self.seed = seed
        self._known: dict[Path, dict[str, str]] = {}
        self._unreadable: dict[Path, list[str]] = {}

    def look(self, path: Path) -> Report | None:
        """Grades the exercises of a file whose code has changed.

        Where none has, the report holds what can no longer be read, or there is no report.

        Raises:
            CourseError: if the file cannot be read.
        """
        chapter = self.chapter_of(path)
        if chapter is None:
            return None
        exercises = chapter.exercises.values()
        now, before = fingerprints(path, exercises), self._known.get(path, {})
        changed = [each for each in exercises if now[each.id] != before.get(each.id)]
        self._known[path] = now
        known = self._unreadable.get(path, [])
        self._unreadable[path] = unreadable(path)
        if not changed:
            new = [text for text in self._unreadable[path] if text not in known]
            return Report((), tuple(new)) if new else None
        self._forget_helpers()
        return assess_all(chapter, changed, LocalCaller(load(path)), self.seed)

    def run(
        self,
        on_report: Callable[[Path, Report | None], None],
        on_trouble: Callable[[str], None],
        stop: threading.Event | None = None,
    ) -> None:
        """Waits for changes until Ctrl-C, or until `stop` is set."""
        for changes in watch(
            self.course.work,
            watch_filter=self._concerns,
            debounce=200,
            step=50,
            stop_event=stop,
            raise_interrupt=False,
        ):
            for path in sorted({Path(name) for change, name in changes}):
                if not path.exists():
                    continue
                try:
                    on_report(path, self.look(path))
                except CourseError as error:
                    on_trouble(str(error))

    def _concerns(self, change: Change, name: str) -> bool:
        path = Path(name)
        return change is not Change.deleted and self.chapter_of(path) is not None

    def chapter_of(self, path: Path) -> Chapter | None:
        """The chapter of which a file is the working copy."""
        for chapter in self.chapters:
            if path.suffix in _SUFFIXES and path == chapter.working_copy(path.suffix):
                return chapter
        return None

    def _forget_helpers(self) -> None:
        """Modules the learner keeps beside the file are imported anew."""
        work = str(self.course.work.resolve())
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and file.startswith(work):
                del sys.modules[name]
