"""Pages of words: Often said, the glossary, What you need; read as their authors write them."""

import re
from itertools import pairwise
from pathlib import Path

import click
import pytest

from minitx.cli import cli

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
OFTEN_SAID = (BOOK / "often_said.md").read_text(encoding="utf-8")
START = (BOOK / "intro.md").read_text(encoding="utf-8")
GLOSSARY = (BOOK / "glossary.md").read_text(encoding="utf-8")
CHOICES = ["True", "Not quite", "False"]
# One statement: its label, the heading, and all until the next label.
ENTRY = re.compile(
    r'^\((?P<label>said-[a-z-]+)\)=\n### "(?P<said>.+)"\n(?P<rest>(?:(?!^\(said-|^## ).*\n?)*)',
    flags=re.MULTILINE,
)
ENTRIES = list(ENTRY.finditer(OFTEN_SAID))
ROW = re.compile(
    r"^\| \[(?P<said>.+)\]\(#(?P<label>said-[a-z-]+)\) \| (?P<chapter>\d) \| "
    r"<details><summary>\w+</summary>(?P<verdict>.+)</details> \|$",
    flags=re.MULTILINE,
)
TERMS = re.findall(r"^(\S.*)\n    \S", GLOSSARY.partition("```{glossary}\n")[2], re.MULTILINE)
SOURCES = [*BOOK.glob("*.md"), *(ROOT / "solutions").glob("*.py")]


def verdict(entry: re.Match[str]) -> str:
    """What the answer says, in the word that follows its number."""
    found = re.search(r"^\*\*(\d)\.\*\* (True|Not quite|False)\. ", entry["rest"], re.MULTILINE)
    assert found, f"{entry['label']} has no answer"
    assert CHOICES[int(found[1]) - 1] == found[2], f"{entry['label']}: number and word differ"
    return found[2]


def label_of(entry: re.Match[str]) -> str:
    return entry["label"]


def test_every_heading_is_an_entry() -> None:
    assert len(ENTRIES) == len(re.findall(r"^### ", OFTEN_SAID, re.MULTILINE)) > 20


@pytest.mark.parametrize("entry", ENTRIES, ids=label_of)
def test_a_statement_is_asked_answered_sourced_and_measured(entry: re.Match[str]) -> None:
    text = entry["rest"]
    assert f'<div class="question" id="q-{entry["label"]}">' in text
    # Each says what it is about: the name of a group of choices is its question.
    assert f'\n**Question.** "{entry["said"]}": true, not quite, or false?\n' in text
    assert re.findall(r"^\d\. (.+)$", text, re.MULTILINE) == CHOICES
    verdict(entry)
    answer, _, measurement = text.partition("</details>")
    assert "\n**Source.** " in answer
    assert "```{code-cell}" in measurement


def test_the_table_has_every_statement_with_its_verdict() -> None:
    chapters = [match.start() for match in re.finditer(r"^## Chapter", OFTEN_SAID, re.MULTILINE)]
    want = [
        (
            entry["said"],
            entry["label"],
            verdict(entry).lower(),
            sum(s < entry.start() for s in chapters),
        )
        for entry in ENTRIES
    ]
    rows = [
        (r["said"], r["label"], r["verdict"], int(r["chapter"])) for r in ROW.finditer(OFTEN_SAID)
    ]
    assert rows == want


def test_the_page_says_how_many_statements_are_true() -> None:
    said = {
        1: "One of the sentences is",
        2: "Two of the sentences are",
        3: "Three of the sentences are",
    }
    true = sum(verdict(entry) == "True" for entry in ENTRIES)
    assert f"\n{said[true]} simply true." in OFTEN_SAID


def test_links_from_elsewhere_give_the_verdict_that_stands_there() -> None:
    verdicts = {entry["label"]: verdict(entry) for entry in ENTRIES}
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        for words, label in re.findall(r"\[([^\]]+)\]\([\w./]*often_said\.ipynb#([\w-]+)\)", text):
            assert label in verdicts, f"{source.name} links to {label}, which is not there"
            said = re.match(r"True|Not quite|False", words)
            if said:
                assert said[0] == verdicts[label], f"{source.name}, {label}"


def test_a_chapter_quotes_the_sentence_that_stands_there_and_gives_its_verdict() -> None:
    here = {entry["label"]: (entry["said"], verdict(entry)) for entry in ENTRIES}
    quotes = 0
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        lines = re.findall(r"^(?:# )?> \*\*Often said:\*\* .*$", text, re.MULTILINE)
        for line in lines:
            found = re.search(r'"(.+?)\.?" \[(True|Not quite|False)\b.*#(said-[a-z-]+)\)', line)
            assert found, f"{source.name}: {line}"
            assert (found[1], found[2]) == here[found[3]], source.name
        quotes += len(lines)
    assert quotes > 10


def test_the_glossary_is_in_order() -> None:
    assert len(TERMS) > 50
    assert all(one.casefold() < other.casefold() for one, other in pairwise(TERMS))


def test_the_words_of_what_you_need_stand_in_the_glossary() -> None:
    """A word set in italics is one that the page explains."""
    page = (BOOK / "what_you_need.md").read_text(encoding="utf-8")
    prose = re.sub(r"^```.*?^```$|\$[^$]*\$", "", page, flags=re.MULTILINE | re.DOTALL)
    explained = set(re.findall(r"(?<!\*)\*([a-z][a-z -]+)\*(?!\*)", prose)) - {"the", "cat", "sat"}
    assert len(explained) > 12
    known = {*TERMS, *(f"{term}s" for term in TERMS)}
    assert explained <= known


def test_every_glossary_link_leads_to_a_term() -> None:
    for source in SOURCES:
        text = source.read_text(encoding="utf-8")
        for inside in re.findall(r"\{term\}`([^`]+)`", text):
            target = re.sub(r".*<(.+)>", r"\1", inside, flags=re.DOTALL)
            assert target in TERMS, f"{source.name}: {inside}"


def test_the_start_page_counts_the_mistakes_right() -> None:
    banks = (ROOT / "exercises/checks").glob("mistakes_*.py")
    count = sum(len(re.findall(r"^@mistake\(", bank.read_text(), re.MULTILINE)) for bank in banks)
    assert f"\n- **Mistakes have names.** {count} typical wrong answers" in START


def test_the_commands_of_the_start_page_and_the_readme_are_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in (START, readme):
        blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
        assert set(re.findall(r"^make (\S+)", blocks, re.MULTILINE)) <= {*targets}
        for words in re.findall(r"^minitx ([a-z]+(?:[ -][a-z]+)*)", blocks, re.MULTILINE):
            command, context = cli, click.Context(cli)
            for word in words.split():
                if isinstance(command, click.Group):
                    found = command.get_command(context, word)
                    assert found, f"minitx {words}"
                    command = found
