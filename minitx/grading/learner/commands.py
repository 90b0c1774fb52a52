"""The commands a learner types: working copies, hints, progress, worked answers.

Everything heavy is imported inside them: `minitx --help` reads this file.
"""

import click

from minitx.grading.learner.words import NOT_EARNED, WRONG_USE, Graders
from minitx.terminal import (
    Prose,
    console,
    program,
    say_error,
    show_code,
    shown,
)


@click.command(cls=Graders)
@click.argument("chapter")
@click.option("--notebook", is_flag=True, help="A Jupyter notebook in place of a .py file.")
@click.option("--both", is_flag=True, help="Although there is a copy in the other format.")
@click.pass_context
def start(ctx: click.Context, chapter: str, notebook: bool, both: bool) -> None:
    """Make your own copy of a chapter's exercises in work/.

    An existing copy is never overwritten; if exercises have got new numbers meanwhile, those in it
    are changed, and the copy as it was is kept.
    """
    from minitx.grading.learner.renumbering import has_old_numbers, renumber
    from minitx.grading.learner.targets import find
    from minitx.grading.learner.workspace import start as make

    course, number, _ = find(chapter)
    chosen, suffix = course.chapter(number), ".ipynb" if notebook else ".py"
    target, others = chosen.working_copy(suffix), chosen.working_copies()
    if others and target not in others and not both:
        say_error(
            f"Your copy of chapter {int(number)} is {shown(others[0])}. A second one was not "
            f"made: the one saved last is graded. `{program()} start {chapter} "
            f"{'--notebook ' if notebook else ''}--both` makes it all the same."
        )
        ctx.exit(WRONG_USE)
    path, made = make(chosen, suffix)
    out = console()
    if not made and has_old_numbers(path, chosen):
        kept = renumber(path, chosen)
        out.print(f"Your copy has today's numbers now: {shown(path)}")
        out.print(f"As it was before, it is kept: {shown(kept)}")
        return
    if not made:
        out.print(f"You have a copy already: {shown(path)}. It was left as it is.")
        again = f"`{program()} reset {number}` puts it back to the beginning and keeps yours."
        out.print(Prose(again))
        return
    out.print(f"Your copy: {shown(path)}")
    where = "Jupyter, or an editor that runs notebooks," if notebook else "your editor"
    out.print(f"Open it in {where} and write the answers there.")
    out.print(Prose(f"`{program()} watch {number}` grades it whenever you save,"))
    out.print(Prose(f"`{program()} check {number}` once."))


@click.command(cls=Graders)
@click.argument("exercise_id", metavar="EXERCISE")
@click.option("--level", type=click.IntRange(1, 3), help="1 nudge, 2 where to read, 3 nearly all.")
def hint(exercise_id: str, level: int | None) -> None:
    """Show the next hint for an exercise: a nudge, where to read, nearly the answer."""
    from minitx.grading.learner.progress import load_progress
    from minitx.grading.learner.targets import find_exercise

    course, exercise = find_exercise(exercise_id, "hint")
    progress = load_progress(course.work)
    say_error(progress.notice)
    reached = progress.of(exercise.id)
    level = level or min(reached.hints + 1, 3)
    progress.saw_hint(exercise.id, level)
    say_error(progress.save())
    out = console()
    out.print(f"{exercise.label}, hint {level} of 3", style="bold")
    out.print(Prose(exercise.hints[level - 1]))
    if level == 2:
        chapter, page = course.chapter(exercise.chapter), exercise.page
        out.print(Prose(f"Read {chapter.reading(page)}.", link=chapter.built(page)))
    if level < 3:
        out.print(Prose(f"Not enough? `{program()} hint {exercise.id}` shows the next one.", "dim"))
    elif not reached.complete:
        answer = f"`{program()} solution {exercise.id} --give-up`"
        out.print(Prose(f"That was the last hint. {answer} shows the answer.", "dim"))


@click.command(cls=Graders)
@click.argument("chapter", required=False)
def progress(chapter: str | None) -> None:
    """Show the points you have reached so far."""
    table_of_exercises(chapter, attempts=True)


@click.command(cls=Graders)
def list_exercises() -> None:
    """All exercises with their points and how far you are."""
    table_of_exercises(None, attempts=False)


@click.command(cls=Graders)
@click.argument("target")
def reset(target: str) -> None:
    """Put an exercise (02.3) or a chapter (02) back to its beginning.

    Your file is first copied to work/backups/.
    """
    from minitx.grading.learner.targets import find, newest_copy
    from minitx.grading.learner.workspace import reset_chapter, reset_exercise

    course, number, exercise = find(target)
    chapter = course.chapter(number)
    path = newest_copy(chapter)
    if exercise is None:
        kept = reset_chapter(chapter, path)
        what = "is as it was handed out"
    else:
        kept = reset_exercise(chapter, exercise, path)
        what = f"has the unanswered {exercise.function} of {exercise.label} again"
    out = console()
    out.print(f"{shown(path)} {what}.")
    out.print(f"Your version of before is kept: {shown(kept)}")


@click.command(cls=Graders)
@click.argument("exercise_id", metavar="EXERCISE")
@click.option("--give-up", is_flag=True, help="Show it although the exercise is not done yet.")
@click.pass_context
def solution(ctx: click.Context, exercise_id: str, give_up: bool) -> None:
    """Show the worked answer of an exercise you have finished, or given up."""
    from minitx.grading.learner.answers import other_ways, own_answer, worked_answer
    from minitx.grading.learner.progress import load_progress
    from minitx.grading.learner.targets import find_exercise

    course, exercise = find_exercise(exercise_id, "solution")
    progress = load_progress(course.work)
    say_error(progress.notice)
    reached = progress.of(exercise.id)
    if not (reached.complete or reached.gave_up or give_up):
        say_error(
            f"{exercise.label} is not finished: {reached.best} of {exercise.points} points so far. "
            f"`{program()} hint {exercise.id}` helps; `{program()} solution {exercise.id} "
            "--give-up` shows the answer all the same."
        )
        ctx.exit(NOT_EARNED)
    if give_up and not reached.complete:
        progress.gave_up(exercise.id)
        say_error(progress.save())
    chapter = course.chapter(exercise.chapter)
    ours = worked_answer(chapter, exercise)
    console().print(f"{exercise.label}: {exercise.title}\n", style="bold")
    copies = chapter.working_copies()
    yours = own_answer(copies[0], exercise) if copies and reached.complete else ""
    show_code(({"Yours": yours} if yours else {}) | {"Ours": ours})
    for other in other_ways(chapter, exercise):
        show_code({"Another way": other})


def table_of_exercises(chapter: str | None, *, attempts: bool) -> None:
    from minitx.grading.course import find_course
    from minitx.grading.learner.next_steps import next_of
    from minitx.grading.learner.progress import load_progress
    from minitx.grading.learner.showing import show_progress, show_steps
    from minitx.grading.learner.targets import find

    course = find_course()
    numbers = [find(chapter)[1]] if chapter else list(course.chapters)
    progress = load_progress(course.work)
    say_error(progress.notice)
    chapters = [course.chapter(number) for number in numbers]
    show_progress(progress, chapters, attempts=attempts)
    show_steps(next_of(chapters, progress))
