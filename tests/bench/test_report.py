"""What was measured is kept, and shown as it is."""

import io
import json
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch
from rich.console import Console

from minitx.bench import report
from minitx.bench.contest import Timing
from minitx.bench.report import OtherSetUp, Result

CPU = torch.device("cpu")
TIMING = Timing(0.002, 0.003, 1.5, 1.25, 1.75, 7, 1e-7, 2e-7, "flash", "none")
RESULTS = [
    Result("attention", "torch's", 600, TIMING, 2_500_000, 5_000_000),
    Result("GPT", "Hugging Face's", 30, replace(TIMING, ratio=0.8), 1, 2),
]


def test_results_are_found_again(tmp_path):
    path, setup = tmp_path / "deep" / "models.json", report.set_up(CPU, "quick")
    assert report.load(path, setup) == []
    report.save(path, setup, RESULTS)
    assert report.load(path, setup) == RESULTS
    content = json.loads(path.read_text())
    assert content["set_up"]["torch"] == torch.__version__
    assert content["results"][0]["timing"]["ratio"] == 1.5


def test_another_set_up_is_refused(tmp_path):
    path, setup = tmp_path / "models.json", report.set_up(CPU, "quick")
    report.save(path, setup, RESULTS)
    other = {**setup, "threads": 64, "sizes": "cpu"}
    with pytest.raises(OtherSetUp) as error:
        report.load(path, other)
    assert str(error.value) == (
        f"{path} was measured with threads {torch.get_num_threads()} (now: 64), sizes quick "
        "(now: cpu); delete it, or choose another --out"
    )


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"set_up": {}}', '{"set_up": {}, "results": [1]}']
)
def test_a_damaged_file_is_refused(tmp_path, text):
    (tmp_path / "models.json").write_text(text)
    with pytest.raises(OtherSetUp, match=r"models\.json is damaged; delete it, or choose another"):
        report.load(tmp_path / "models.json", report.set_up(CPU, "quick"))


def test_the_table_fits_eighty_columns():
    out = io.StringIO()
    Console(file=out, width=80).print(report.table(RESULTS, report.set_up(CPU, "quick")))
    text = out.getvalue()
    for number in ("2.00", "3.00", "300,000", "200,000", "1.50", "1.25–1.75", "2.5", "5.0", "0.80"):
        assert number in text
    assert "…" not in text
    assert "Hugging Face's" in text


def test_the_picture_shows_every_ratio():
    figure = report.picture(RESULTS)
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == ["1.50", "0.80"]
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "attention\ntorch's",
        "GPT\nHugging Face's",
    ]
    spread, dot = ax.lines[0], ax.lines[1]
    assert list(spread.get_xdata()) == [1.25, 1.75]
    assert list(dot.get_xdata()) == [1.5]
    plt.close(figure)


def test_the_processor_has_a_name(monkeypatch):
    assert report.cpu_name()
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(OSError()))
    assert report.cpu_name()


def test_without_transformers_the_set_up_says_so(monkeypatch):
    def version(package):
        raise report.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(report.metadata, "version", version)
    assert report.set_up(CPU, "quick")["transformers"] == "not installed"
