"""The commands, from the options to what is printed; what they do is tested beside this."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from minitx import terminal
from minitx.cli import cli
from minitx.data import dates as date_data
from minitx.data import numbers as number_data
from minitx.projects import commands, numbers

RHYME = "one fish two fish red fish blue fish. " * 60


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Few pairs, small models, a folder of its own."""
    from dataclasses import replace

    from minitx.projects import dates, masked, text

    monkeypatch.chdir(tmp_path)
    for data in (number_data, date_data):
        few = data.pairs()[20:30]
        split = data.split()
        monkeypatch.setattr(
            data, "split", lambda s=split, f=few: s._replace(train=f, validation=f, test=f)
        )
    tiny = {"d_model": 32, "num_heads": 2, "num_layers": 1, "warmup_steps": 5}
    for project in (numbers, dates):
        changed = replace(
            project.SETTINGS, num_steps=60, max_lr=1e-2, d_ff=53, batch_size=10, **tiny
        )
        monkeypatch.setattr(project, "SETTINGS", changed)
    for project in (text, masked):
        changed = replace(project.SETTINGS, num_steps=5, length=23, batch_size=3, **tiny)
        monkeypatch.setattr(project, "SETTINGS", changed)


def call(*arguments, typed=None):
    return CliRunner().invoke(cli, [*map(str, arguments)], input=typed, catch_exceptions=False)


def test_train_numbers_then_translate():
    trained = call("train", "numbers")
    assert trained.exit_code == 0, trained.output
    assert "Exact match on 10 texts never seen: 100.00%\n" in trained.output
    assert "parameters; " in trained.output
    assert "Try it: minitx translate --folder runs/numbers\n" in trained.output
    files = {path.name for path in Path("runs/numbers").iterdir()}
    assert files == {"run.json", "checkpoint.pt", "log.csv", "training.png"}

    once = call("translate", "twenty-one", "Twenty-TWO")
    assert once.stdout == "vingt et un\nvingt-deux\n"
    assert once.stderr == "What was read for each word: runs/numbers/alignment.png\n"
    assert Path("runs/numbers/alignment.png").read_bytes().startswith(b"\x89PNG")

    spoken = call(
        "translate", "--alignment", "a/b.png", typed="23\nfoo\n24000\ntwenty-eight\n\n29\n"
    )
    assert spoken.exit_code == 0
    assert spoken.stdout == "vingt-trois\nvingt-huit\n"
    known = "whole numbers from 0 to 23,999, in English words or in digits"
    assert spoken.stderr.splitlines() == [
        f"the translator has never seen “foo”; it has learned {known}.",
        f"24,000 is too large: the translator has learned {known}.",
        "What was read for each word: a/b.png",
    ]
    assert Path("a/b.png").exists()

    refused = call("translate", "foo")
    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: the translator has never seen “foo”; it has learned")


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
        translator = numbers.train(numbers.SETTINGS, group=group, folder=Path("r"), progress=False)
    commands.converse(translator, numbers, Path("a.png"))
    assert drawn == [["twenty", "-two", "⟨end⟩"], ["twenty", "-three", "⟨end⟩"]]
    assert capsys.readouterr().out.startswith("Type whole numbers from 0 to 23,999")


def test_interactive_goes_straight_on():
    answer = call("train", "numbers", "--interactive", "--folder", "here", typed="twenty-five\n")
    assert answer.stdout.endswith("vingt-cinq\n")
    assert "Try it" not in answer.output
    assert Path("here/alignment.png").exists()


def test_train_dates_and_its_score():
    answer = call("train", "dates", "--steps", 2)
    assert answer.exit_code == 0, answer.output
    assert "Exact match on 10 texts never seen: 0.00%, chrF " in answer.output
    assert answer.output.count("  wrong: ") == commands.SHOWN_MISTAKES
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
        "This translator is unfinished: 2 of 3 steps. minitx train numbers --folder runs/numbers "
        "goes on.\n"
    )


def test_train_text_writes_a_sample():
    Path("rhyme.txt").write_text(RHYME, encoding="utf-8")
    answer = call("train", "text", "--file", "rhyme.txt", "--prompt", "two")
    assert answer.exit_code == 0, answer.output
    before, _, sample = answer.stdout.partition("It writes:\n\n")
    assert "bits per character" in before
    assert sample.startswith("two")
    assert len(sample) == len("two") + 400 + len("\n")
    refused = call("train", "text", "--file", "rhyme.txt", "--prompt", "Ω")
    assert refused.exit_code == 1
    assert "Error: the prompt holds what the model has never seen: “Ω”.\n" in refused.stderr


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


def test_what_goes_wrong_is_said_plainly(monkeypatch):
    import click

    class Mine(RuntimeError):
        pass

    with pytest.raises(click.ClickException, match=r"^so it is\.$"), terminal.plainly():
        raise ValueError("so it is")
    with pytest.raises(click.ClickException, match=r"^is it\?$"), terminal.plainly(Mine):
        raise Mine("is it?")
    with pytest.raises(Mine), terminal.plainly():
        raise Mine("a bug")
    with pytest.raises(BrokenPipeError), terminal.plainly():
        raise BrokenPipeError("nobody reads")
    monkeypatch.setenv("MINITX_DEBUG", "1")
    with pytest.raises(ValueError, match="so it is"), terminal.plainly():
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
    with pytest.raises(SystemExit) as ended, terminal.plainly():
        raise stop
    assert ended.value.code == terminal.STOPPED
    assert capsys.readouterr().err == says


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
    _, rest = process.communicate(timeout=120)
    assert process.returncode == terminal.STOPPED
    assert b"Stopped after step" in rest
    stopped = len(Path("run/log.csv").read_text().splitlines()) - 1
    assert 2 <= stopped < 40
    again = subprocess.run(
        command, capture_output=True, text=True, env=environment, check=True, timeout=300
    )
    assert "It writes:\n\none fish t" in again.stdout
    assert len(Path("run/log.csv").read_text().splitlines()) - 1 == 40


def test_help_names_them_all():
    answer = call("--help")
    assert all(f"  {name}" in answer.stdout for name in ("bench", "train", "translate", "check"))
    assert all(name in call("train", "--help").stdout for name in ("numbers", "dates", "masked"))
