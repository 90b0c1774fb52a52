"""The commands, from the options to what is printed; what they do is tested beside this."""

import os
import signal
import subprocess
import sys
import unicodedata
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner
from torch.utils._python_dispatch import TorchDispatchMode

from minitx import terminal
from minitx.cli import cli
from minitx.data import dates as date_data
from minitx.data import numbers as number_data
from minitx.data.split import Split
from minitx.projects import commands, masked, text, translation
from minitx.projects.kept import Experiment
from minitx.projects.translators import DATES, NUMBERS, TRANSLATORS
from minitx.terminal import program

RHYME = "one fish two fish red fish blue fish. " * 60
KNOWN = "whole number from 0 to 23,999, in English words or in digits"


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Few pairs, small models, a folder of its own."""
    monkeypatch.chdir(tmp_path)
    tiny = {"d_model": 32, "num_heads": 2, "num_layers": 1, "warmup_steps": 5}
    few_dates = [*date_data.pairs()[20:28], ("5. März 2021", "2021-03-05")]
    few_dates += [("vendredi 5 août 2021", "2021-08-05")]
    for project, few in ((NUMBERS, number_data.pairs()[20:30]), (DATES, few_dates)):
        # A frozen value: what the commands know of the project is changed in its place.
        changes = {
            "split": lambda few=few: Split(few, few, few),
            "measured": lambda few=few: {"texts never seen": few, "the first": few[:1]},
            "lessons": list,
            "settings": replace(project.settings, num_steps=60, max_lr=1e-2, batch_size=10, **tiny),
        }
        for name, value in changes.items():
            monkeypatch.setitem(vars(project), name, value)
    for project in (text, masked):
        changed = replace(project.SETTINGS, num_steps=5, length=23, batch_size=3, **tiny)
        monkeypatch.setattr(project, "SETTINGS", changed)


@pytest.fixture
def at_work(monkeypatch):
    """Nothing is trained: whoever begins to fails the test."""

    def begun(*arguments, **options):
        raise AssertionError("the training began")

    for project in (text, masked, translation):
        monkeypatch.setattr(project, "train", begun)


def call(*arguments, typed=None):
    return CliRunner().invoke(cli, [*map(str, arguments)], input=typed, catch_exceptions=False)


@pytest.mark.slow
def test_train_numbers_then_translate():
    trained = call("train", "numbers")
    assert trained.exit_code == 0, trained.output
    assert "Exact match on texts never seen: 10 of 10, 100.00%\n" in trained.output
    assert "Exact match on the first: 1 of 1, 100.00%\n" in trained.output
    assert "parameters; " in trained.output
    assert " seconds of CPU, the measuring included.\n" in trained.output
    assert f"Try it: {program()} translate --folder runs/numbers\n" in trained.output
    files = {path.name for path in Path("runs/numbers").iterdir()}
    assert files == {"run.json", "checkpoint.pt", "log.csv", "training.png"}

    once = call("translate", "twenty-one", "Twenty TWO")
    assert (once.exit_code, once.stdout) == (0, "vingt et un\nvingt-deux\n")
    assert once.stderr == "What was read for each word: runs/numbers/alignment.png\n"
    assert Path("runs/numbers/alignment.png").read_bytes().startswith(b"\x89PNG")


def test_from_a_pipe_every_line_in_is_a_line_out():
    """Empty lines stay, what cannot be translated leaves one: answers and questions keep step."""
    call("train", "numbers")
    lines = "23\n\nfoo\n24000\ntwenty-eight\n \n29\r\ntwenty-two"
    piped = call("translate", "--alignment", "a/b.png", typed=lines)
    assert piped.stdout == "vingt-trois\n\n\n\nvingt-huit\n\nvingt-neuf\nvingt-deux\n"
    assert piped.exit_code == commands.NOT_ALL == 1
    assert piped.stderr.splitlines() == [
        f"“foo” is no {KNOWN}.",
        f"“24000” is no {KNOWN}.",
        "What was read for each word: a/b.png",
    ]
    assert Path("a/b.png").exists()
    all_well = call("translate", typed="23\n\n24\n")
    assert (all_well.exit_code, all_well.stdout) == (0, "vingt-trois\n\nvingt-quatre\n")


@pytest.mark.slow
def test_texts_given_as_arguments_keep_step_too():
    call("train", "numbers")
    some = call("translate", "21", "foo", "", "22")
    assert (some.exit_code, some.stdout) == (1, "vingt et un\n\n\nvingt-deux\n")
    none = call("translate", "foo")
    assert (none.exit_code, none.stdout) == (1, "\n")
    assert none.stderr == f"“foo” is no {KNOWN}.\n"


def test_dates_that_look_the_same_are_read_the_same():
    """A file name of macOS is decomposed; a web page has no-break spaces."""
    call("train", "dates", "--steps", 3)
    typed = "5. März 2021", "vendredi 5 août 2021"
    decomposed = [unicodedata.normalize("NFD", text) for text in typed]
    from_the_web = [text.replace(" ", "\u00a0") for text in typed]
    answer = call("translate", "--folder", "runs/dates", *typed, *decomposed, *from_the_web)
    assert answer.exit_code == 0, answer.stderr
    lines = answer.stdout.splitlines()
    assert len({*typed, *decomposed, *from_the_web}) == len(lines) == 6
    assert lines[:2] == lines[2:4] == lines[4:]


def test_what_a_date_translator_has_never_seen_is_named():
    call("train", "dates", "--steps", 1)
    answer = call("translate", "--folder", "runs/dates", "12\u200b\u03a9")
    assert answer.exit_code == 1
    assert answer.stderr.startswith(
        "never seen: ZERO WIDTH SPACE, “Ω”; learned were days of 1950 to 2049 in the spelling of"
    )


def test_nothing_typed_draws_nothing():
    call("train", "numbers", "--steps", 1)
    answer = call("translate", typed="")
    assert (answer.exit_code, answer.stdout) == (0, "")
    assert not Path("runs/numbers/alignment.png").exists()


def test_at_a_terminal_every_line_is_drawn(monkeypatch, capsys):
    drawn, lines = [], iter(["22", "foo", "23", ""])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda prompt: next(lines))
    monkeypatch.setattr(commands, "drawn", lambda aligned, path: drawn.append(aligned.source))
    with commands.running("cpu") as group:
        translator = translation.train(
            NUMBERS, NUMBERS.settings, group=group, folder=Path("r"), progress=False
        )
    commands.translate_input(translator, Path("a.png"))
    assert drawn == [["twenty", "two", "⟨end⟩"], ["twenty", "three", "⟨end⟩"]]
    assert capsys.readouterr().out.startswith("Type whole numbers from 0 to 23,999")


def test_interactive_goes_straight_on():
    answer = call("train", "numbers", "--interactive", "--folder", "here", typed="twenty-five\n")
    assert answer.stdout.endswith("vingt-cinq\n")
    assert "Try it" not in answer.output
    assert Path("here/alignment.png").exists()


def test_train_dates_and_its_score():
    answer = call("train", "dates", "--steps", 2)
    assert answer.exit_code == 0, answer.output
    assert "Exact match on texts never seen: 0 of 10, 0.00%, chrF " in answer.output
    assert answer.output.count("  wrong: ") == commands.SHOWN_MISTAKES + 1
    unfinished = call("translate", "--folder", "runs/dates", date_data.pairs()[20][0])
    assert unfinished.exit_code == 0
    assert "unfinished" not in unfinished.stderr


def test_a_translator_that_is_not_done_says_so():
    from minitx.training import checkpoints

    call("train", "numbers", "--steps", 3)
    path = Path("runs/numbers/checkpoint.pt")
    state = checkpoints.load(path)
    checkpoints.save(path, {**state, "rows": state["rows"][:2]})
    answer = call("translate", "twenty-one")
    assert answer.stderr.startswith(
        f"This translator is unfinished: 2 of 3 steps. {program()} train numbers --folder "
        "runs/numbers goes on.\n"
    )


def test_train_text_writes_a_sample():
    Path("rhyme.txt").write_text(RHYME, encoding="utf-8")
    answer = call("train", "text", "--file", "rhyme.txt", "--prompt", "two")
    assert answer.exit_code == 0, answer.output
    before, _, sample = answer.stdout.partition("It writes:\n\n")
    assert "bits per character" in before
    assert sample.startswith("two")
    assert len(sample) == len("two") + 400 + len("\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["text", "--prompt", "Ω"], "the prompt holds characters never seen: “Ω”."),
        (
            ["text", "--prompt", "a\u200b"],
            "the prompt holds characters never seen: “a”, ZERO WIDTH",
        ),
        (["text", "--prompt", ""], "the prompt is empty, and the model needs a character"),
        (
            ["text", "--file", "four.txt"],
            "the text has 4 characters; pieces of 23 need at least 240",
        ),
        (["masked", "--file", "four.txt"], "the text has 4 characters; pieces of 23 need at least"),
    ],
)
def test_what_cannot_be_used_is_refused_before_the_training(at_work, arguments, says):
    Path("rhyme.txt").write_text(RHYME, encoding="utf-8")
    Path("four.txt").write_text("abc\n", encoding="utf-8")
    answer = call("train", arguments[0], "--file", "rhyme.txt", *arguments[1:])
    assert answer.exit_code == 1
    assert answer.stderr.startswith(f"Error: {says}")
    assert not Path("runs").exists()


def test_train_masked_shows_what_it_restored():
    Path("rhyme.txt").write_text(RHYME, encoding="utf-8")
    answer = call("train", "masked", "--file", "rhyme.txt")
    assert answer.exit_code == 0, answer.output
    assert "Of the characters asked about, in text never seen, " in answer.stdout
    assert all(f"\n{name}:\n" in answer.stdout for name in ("with holes", "restored", "original"))


def test_steps_and_seed_are_settings_of_the_run():
    assert call("train", "numbers", "--steps", 2, "--seed", 5).exit_code == 0
    answer = call("train", "numbers")
    assert answer.exit_code == 1
    assert answer.stderr == (
        "Error: runs/numbers holds a run with num_steps 2 (asked for: 60), seed 5 (asked for: 0). "
        "Ask for the same to continue it, choose another --folder, or delete it.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["train", "numbers", "--steps", 0], 2, "0 is not in the range x>=1"),
        (["train", "numbers", "--seed", -1], 2, "-1 is not in the range 0<=x<="),
        (["train", "dates", "--seed", 2**32], 2, "4294967296 is not in the range"),
        (["train", "numbers", "--device", "abacus"], 2, "abacus cannot be used: "),
        (["train", "text", "--file", "nowhere.txt"], 2, "File 'nowhere.txt' does not exist"),
        (
            ["translate", "one"],
            1,
            "Error: there is no run in runs/numbers; begin one: minitx train",
        ),
    ],
)
def test_wrong_use(arguments, code, says):
    answer = call(*arguments)
    assert answer.exit_code == code
    assert says in answer.stderr


def test_a_file_that_is_no_text():
    Path("novel.txt").write_bytes(b"caf\xe9\n")
    answer = call("train", "text", "--file", "novel.txt")
    assert answer.exit_code == 1
    assert answer.stderr.startswith("Error: novel.txt, line 1: byte 0xe9 at place 4 is not UTF-8")


def test_a_run_that_does_not_translate():
    Path("rhyme.txt").write_text(RHYME, encoding="utf-8")
    call("train", "text", "--file", "rhyme.txt", "--steps", 1)
    answer = call("translate", "--folder", "runs/text", "one")
    assert answer.exit_code == 1
    assert answer.stderr == "Error: runs/text holds a run of text, no translator.\n"


def test_a_damaged_checkpoint():
    call("train", "numbers", "--steps", 1)
    Path("runs/numbers/checkpoint.pt").write_bytes(b"half")
    answer = call("train", "numbers", "--steps", 1)
    assert answer.exit_code == 1
    assert answer.stderr.startswith("Error: runs/numbers/checkpoint.pt is not a whole checkpoint")


# --- what all commands have in common --------------------------------------------------------


def test_what_goes_wrong_is_said_in_a_sentence(monkeypatch):
    class Mine(RuntimeError):
        pass

    with pytest.raises(click.ClickException, match=r"^so it is\.$"), terminal.friendly_errors():
        raise ValueError("so it is")
    with pytest.raises(click.ClickException, match=r"^is it\?$"), terminal.friendly_errors(Mine):
        raise Mine("is it?")
    with pytest.raises(Mine), terminal.friendly_errors():
        raise Mine("a bug")
    with pytest.raises(BrokenPipeError), terminal.friendly_errors():
        raise BrokenPipeError("nobody reads")
    monkeypatch.setenv("MINITX_DEBUG", "1")
    with pytest.raises(ValueError, match="so it is"), terminal.friendly_errors():
        raise ValueError("so it is")


@pytest.mark.parametrize(
    ("stop", "says"),
    [
        (
            KeyboardInterrupt("stopped after step 3; run it again"),
            "\nStopped after step 3; run it again\n",
        ),
        (KeyboardInterrupt(), "\nStopped.\n"),
    ],
)
def test_ctrl_c_is_no_error(stop, says, capsys):
    with pytest.raises(SystemExit) as ended, terminal.friendly_errors():
        raise stop
    assert ended.value.code == terminal.STOPPED
    assert capsys.readouterr().err == says


def test_memory_that_is_not_there_is_no_bug_of_the_grader(monkeypatch):
    """And what is not foreseen is the training's failure, by the command's own name."""
    Path("rhyme.txt").write_text(RHYME, encoding="utf-8")

    def fails(error):
        def train(*arguments, **options):
            raise error

        monkeypatch.setattr(text, "train", train)
        return call("train", "text", "--file", "rhyme.txt")

    full = fails(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert full.exit_code == 1
    assert full.stderr == "Error: CUDA out of memory. Tried to allocate 2.00 GiB.\n"
    other = fails(RuntimeError("no kernel image"))
    assert other.exit_code == 1
    assert other.stderr.startswith("minitx train failed: RuntimeError: no kernel image")
    assert "grader" not in full.stderr + other.stderr


@pytest.mark.parametrize(
    "missing", ["scaled_dot_product", "embedding_dense_backward", "_generator"]
)
def test_a_device_must_do_what_models_need(missing, monkeypatch):
    """As Apple's GPUs do not do all that a CPU does: told before the training, not in it."""

    class Lacking(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if missing in str(function):
                raise NotImplementedError(f"{function} is not implemented\nfor this device")
            return function(*args, **(kwargs or {}))

    def no_generator(device):
        raise TypeError("_generator is not implemented\nfor this device")

    assert terminal.usable("cpu") == "cpu"
    assert terminal.usable(None) is None
    if missing == "_generator":
        monkeypatch.setattr(torch, "Generator", no_generator)
    with Lacking(), pytest.raises(click.BadParameter) as error:
        terminal.usable("cpu")
    assert error.value.message.startswith("cpu cannot be used: ")
    assert missing in error.value.message
    assert error.value.message.endswith(" is not implemented")


@pytest.mark.slow
def test_stopped_and_resumed_by_the_same_command(tmp_path):
    """The real command in a process of its own, with a real Ctrl-C."""
    Path("rhyme.txt").write_text(RHYME, encoding="utf-8")
    command = [sys.executable, "-m", "minitx", "train", "text", "--file", "rhyme.txt"]
    command += ["--steps", "40", "--folder", "run"]
    root = str(Path(commands.__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": root, "TQDM_MININTERVAL": "0"}
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert process.stderr is not None
    seen = b""
    while b" 2/40" not in seen:  # the bar after two steps
        byte = process.stderr.read(1)
        assert byte, seen
        seen += byte
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=600)
    assert process.returncode == terminal.STOPPED
    assert b"Stopped after step" in rest
    stopped = len(Path("run/log.csv").read_text().splitlines()) - 1
    assert 2 <= stopped < 40
    again = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=True, timeout=600
    )
    assert "It writes:\n\none fish t" in again.stdout
    assert len(Path("run/log.csv").read_text().splitlines()) - 1 == 40


def test_help_names_them_all():
    answer = call("--help")
    assert all(f"  {name}" in answer.stdout for name in ("bench", "train", "translate", "check"))
    trainings = call("train", "--help").stdout
    for project in TRANSLATORS.values():
        assert f"  {project.name} " in trainings
        assert project.about.split(",")[0] in call("train", project.name, "--help").stdout
    assert "  text " in trainings and "  masked " in trainings


def test_a_share_is_never_rounded_up(capsys):
    """23,999 of 24,000 are not all of them."""
    commands.tell_score("all", translation.Score(24_000, [("one", "deux", "un")]))
    commands.tell_score("all", translation.Score(24_000, []))
    assert capsys.readouterr().out == (
        "Exact match on all: 23,999 of 24,000, 99.99%\n"
        "  wrong: one → deux   (right: un)\n"
        "Exact match on all: 24,000 of 24,000, 100.00%\n"
    )


def test_reading_the_commands_loads_nothing_heavy():
    code = "import sys, minitx.projects.commands; print(*{'torch', 'matplotlib'} & {*sys.modules})"
    root = str(Path(commands.__file__).parents[2])
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
        check=True,
    )
    assert answer.stdout == "\n"


@pytest.mark.parametrize("name", ["ladder", "head-count", "extrapolation"])
def test_an_experiment_is_run_and_kept_only_if_asked(name, monkeypatch):
    module = import_module(f"minitx.projects.{name.replace('-', '_')}")
    found = module.EXPERIMENT.kept()
    asked, kept = [], []

    def run(self, folder, *, group, say):
        asked.append((self.name, folder))
        say("1 of 1: one")
        return found

    monkeypatch.setattr(Experiment, "run", run)
    monkeypatch.setattr(Experiment, "keep", lambda self, result: kept.append((self.name, result)))
    told = call("train", name)
    assert told.stdout == f"{module.table_of(found)}\n"
    assert told.stderr == "1 of 1: one\n"
    assert (asked, kept) == ([(name, Path("runs", name))], [])
    call("train", name, "--keep", "--folder", "else")
    assert (asked[1:], kept) == ([(name, Path("else"))], [(name, found)])
