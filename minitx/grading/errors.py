"""The few ways in which grading can end early."""


class Rejected(Exception):
    """A check turned the answer down; the text is one paragraph for the learner."""

    about_value = True  # whether the check's own hint has anything to say about it


class Unusable(Rejected):
    """No value to look at: no `return`, inputs changed, another kind of thing, shape or dtype."""

    about_value = False


class CallFailed(Rejected):
    """The learner's function did not return: it raised, or could not be called at all.

    Of this no check's own hint has anything to say.

    `kinds` holds the names of the exception's classes, most special first, so that a check
    which *wants* an exception can ask for it even when the code ran in another process.
    """

    about_value = False

    def __init__(self, paragraph: str, *, kinds: tuple[str, ...] = (), text: str = "") -> None:
        super().__init__(paragraph)
        self.kinds = kinds
        self.text = text


class OutOfTime(Rejected):
    """The learner's function was stopped; the rest of its exercise is not run."""

    about_value = False


class Died(OutOfTime):
    """The learner's function took its process with it; the rest of its exercise is not run."""


class Unattempted(Exception):
    """The function still has the body it came with."""


class CourseError(Exception):
    """Something the learner asked for is not there; the text says what and what to do."""


class GraderError(Exception):
    """The grader itself is at fault, not the learner."""
