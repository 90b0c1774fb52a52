"""One exception for everything an author can get wrong in a source file."""


class SourceError(ValueError):
    """A source from which nothing can be derived; the text names the file and the line."""

    def __init__(self, name: str, line: int | None, problem: str) -> None:
        place = name if line is None else f"{name}:{line}"
        super().__init__(f"{place}: {problem}")
