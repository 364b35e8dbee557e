"""The report: what it shows, what it says is missing, and how the command fails."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from PIL import Image

from shirg_bench.cli import report as command
from shirg_bench.explore.encode import decode
from shirg_bench.ledger import shipped_claims
from shirg_bench.report import examples
from shirg_bench.report.build import build_report
from shirg_bench.report.examples import ask_samples, cloud_of_tokens, embedded_pipeline, explore_samples
from shirg_bench.report.html import to_html
from shirg_bench.report.markdown import to_markdown
from shirg_bench.report.page import Section
from shirg_bench.results.costs import latency_tables
from shirg_bench.results.scores import ablation_tables, accuracy_tables
from shirg_bench.results.table import Table
from shirg_core.cli.app import main

from .report_rows import ablation_rows, accuracy_rows, latency_rows, other_rows, page_rows, write

VOID = {"meta", "img"}


class Outline(HTMLParser):
    """Tags that are closed in order, the text, and what the page points to."""

    def __init__(self):
        super().__init__()
        self.open, self.words, self.links, self.rows = [], [], [], 0

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)
        self.rows += tag == "tr"
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    write(folder / "accuracy_budget.jsonl", accuracy_rows())
    write(folder / "ablations.jsonl", ablation_rows())
    write(folder / "latency_cpu.jsonl", [*latency_rows(), *other_rows()])
    write(folder / "pages.jsonl", page_rows())
    Image.new("RGB", (120, 80), "green").save(folder / "pages_drawn.png")
    return folder


@pytest.fixture(scope="module")
def written(results, tmp_path_factory):
    """A whole report, drawn once."""
    out = tmp_path_factory.mktemp("out")
    assert build_report(results, out, ["html", "md"], examples=False) == [out / "index.html", out / "report.md"]
    return out


def test_one_self_contained_page_with_everything(written):
    page = written / "index.html"
    outline = Outline()
    outline.feed(page.read_text("utf-8"))
    assert outline.open == []
    inside = ("data:image/png;base64,", "data:image/svg+xml;base64,", "#")
    beside = [link for link in outline.links if not link.startswith(inside)]
    assert sorted(beside) == sorted(f"figures/{path.name}" for path in (written / "figures").iterdir())
    text = " ".join(outline.words)
    for words in (
        "Accuracy against budget",
        "Ablations",
        "Latency and memory",
        "Real print",
        "Claims ledger",
        "made up",
        "no machine",
    ):
        assert words in text
    claims = shipped_claims()
    assert f"{len(claims)} claims: " in text
    assert all(claim.claim.replace("`", "") in "".join(outline.words) for claim in claims)
    assert outline.rows > len(claims)
    assert re.search(r"<h2>Summary</h2>\n<p>\d+ claims: \d+ ✓ holds", page.read_text("utf-8"))
    names = sorted(path.name for path in (written / "figures").iterdir())
    assert names == ["ablations.svg", "budget.svg", "cost-micro.svg", "pages_drawn.png", "speed.svg"]


def test_the_markdown_page_shows_pictures_that_are_there(written):
    text = (written / "report.md").read_text("utf-8")
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(pictures) == 5
    for name in pictures:
        if name.endswith(".svg"):
            assert ElementTree.parse(written / name).getroot().tag.endswith("svg")
        else:
            with Image.open(written / name) as picture:
                picture.load()
    widths = [line.count("|") - line.count("\\|") for line in text.splitlines() if line.startswith("|")]
    assert set(widths) <= {3, 4, 5, 7, 8, 17}
    assert "| 16 | 32 | 99 | 20.0 | 10.0 | 2.00 | 1.50 |" in text
    assert "| v2 | 2304 | 768 | 7.0 | 0.050 | 1.0 |" in text
    assert "| v2 | 1/3 | 0.788 [0.768, 0.808] · 75.3333 · 50% |" in text
    # Print kept, then what is read: columns that were not measured are dashes or not there.
    assert "| v2 | 0.800 [0.800, 0.800] | 0.600 [0.600, 0.600] |" in text
    assert "| random | 0.300 [0.300, 0.300] | – |" in text
    assert "| v2 | – | 0.700 [0.700, 0.700] |" in text
    assert "20% of the tokens hold print, 1 pages skipped, 2 lines unreadable**" in text


def test_the_summary_shows_the_best_known_methods_at_two_budgets(written):
    summary = (written / "report.md").read_text("utf-8").partition("## Accuracy")[0]
    assert "| method | plain pages, frozen tower | cluttered pages, frozen tower |" in summary
    assert "| full | 0.90 | 0.90 |" in summary
    assert "| v2 | 0.79 · 0.74 | 0.79 · 0.74 |" in summary
    assert "| random | 0.30 · – |" in summary


def test_missing_results_are_named(tmp_path):
    empty = tmp_path / "results"
    empty.mkdir()
    (page,) = build_report(empty, tmp_path / "out", ["md"], examples=False)
    text = page.read_text("utf-8")
    for name, makes in (
        ("accuracy_budget.jsonl", "shirg ablate --what budget"),
        ("ablations.jsonl", "shirg ablate"),
        ("latency_cpu.jsonl", "shirg bench --what latency,memory"),
        ("pages.jsonl", "shirg pages --reader"),
    ):
        assert f"> **Missing.** No rows of `{name}` in the results folder; `{makes}` makes them." in text
    assert "No curve of speed and accuracy" in text
    assert re.search(r"\d+ claims wait for numbers that are not in the results folder", text)
    assert "No numbers: accuracy_budget.jsonl is not there." in text


def test_models_named_by_paths_have_pictures_of_their_own(tmp_path):
    timed = [{**row, "model": name} for name in ("runs/a/checkpoint", "runs-a-checkpoint") for row in latency_rows()]
    write(tmp_path / "latency_cpu.jsonl", timed)
    build_report(tmp_path, tmp_path / "out", ["md"], examples=False)
    drawn = sorted(path.name for path in (tmp_path / "out" / "figures").glob("cost*"))
    assert drawn == ["cost-runs-a-checkpoint--2.svg", "cost-runs-a-checkpoint.svg"]


def test_settings_have_tables_and_pictures_of_their_own(tmp_path):
    settings = {"dtype": "float32", "answer_tokens": 6, "nfe": 3}, {"dtype": "float32", "answer_tokens": 60, "nfe": 3}
    write(tmp_path / "latency_cpu.jsonl", [{**row, **each} for each in settings for row in latency_rows()])
    (page,) = build_report(tmp_path, tmp_path / "out", ["md"], examples=False)
    text = page.read_text("utf-8")
    for length in (6, 60):
        assert f"micro, float32, {length} tokens in 3 steps, on no machine" in text
        assert f"what the cache saves: micro, float32, {length} tokens in 3 steps." in text
    drawn = sorted(path.name for path in (tmp_path / "out" / "figures").glob("cost*"))
    assert drawn == ["cost-micro--2.svg", "cost-micro.svg"]


def test_a_row_that_does_not_say_what_it_is(tmp_path):
    write(tmp_path / "ablations.jsonl", [*ablation_rows(), {"regime": "r"}])
    with pytest.raises(ValueError, match=r"ablations\.jsonl, line 9: the row has no kind, command, seed"):
        build_report(tmp_path, tmp_path / "out", ["md"], examples=False)


def test_other_numbers_do_not_get_these_verdicts(tmp_path):
    build_report(tmp_path, tmp_path / "out", ["md"], examples=False)
    page = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    by_test_alone = [claim for claim in shipped_claims() if claim.verdict == "holds" and not claim.numbers]
    assert page.count("| ✓ holds |") == len(by_test_alone) < sum(c.verdict == "holds" for c in shipped_claims())
    assert "| – no numbers |" in page


def test_tables_tell_reference_notes_and_what_was_not_measured():
    (accuracy,) = accuracy_tables(accuracy_rows())
    assert accuracy.header == ("method", "budget", "plain", "cluttered")
    assert accuracy.rows[0] == ["full", "–", *["0.900 [0.880, 0.920] · 210 · 50%"] * 2]
    assert accuracy.rows[1] == ["pooling", "–", *["0.300 [0.280, 0.320] · 56"] * 2]
    coverage, beta = ablation_tables(ablation_rows())
    assert coverage.rows[0][2] == "0.880 [0.860, 0.900], reference"
    assert coverage.rows[1][2] == "0.850, -3.0 [-5.0, -1.0]"
    assert beta.caption == "beta, frozen tower. a note"
    rows = [{**latency_rows()[0], "tower_ms": None}]
    (latency,) = latency_tables(rows)
    cells = dict(zip(latency.header, latency.rows[0], strict=True))
    assert (cells["tower, ms"], cells["cache"], cells["KV of the 8B model, MiB"]) == ("–", "on", "–")


def test_text_is_escaped_and_code_is_code():
    table = Table("a < b", ("x",), [("`p | q` & <b>",)])
    sections = [Section("One & two", ["see `x < y`"], missing=["`file`"], tables=[table])]
    page = to_html("<title>", sections, {})
    assert "<code>p | q</code> &amp; &lt;b&gt;" in page
    assert "<code>x &lt; y</code>" in page
    assert '<section id="one-two">\n<h2>One &amp; two</h2>' in page
    assert "<summary>a &lt; b <span>1 line</span></summary>" in page
    assert "| `p \\| q` & <b> |" in to_markdown("t", sections)
    with pytest.raises(ValueError, match="has 1 columns, a row has 2"):
        Table("t", ("x",), [("1", "2")])


def test_examples_come_from_the_embedded_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "micro-joint").mkdir()
    pipe = embedded_pipeline()
    (example,) = ask_samples(pipe, pages=1)
    assert [panel.method for panel in example.panels][:2] == ["all", "pooling"]
    assert example.panels[0].answer.selection is None
    assert example.panels[1].merged
    assert example.panels[2].answer.selection.mask.sum() == 65
    assert example.expected
    monkeypatch.setattr(examples, "BUDGETS", "1/3,100%")
    data = decode(re.search(r'<script id="data"[^>]*>([^<]+)<', explore_samples(pipe, pages=1))[1])
    v4 = data["images"][0]["methods"][0]
    assert [(run["k"], run["reply"]["text"]) for run in v4["runs"]] == [(65, example.expected), (196, example.expected)]
    cloud = cloud_of_tokens(pipe, pages=1)
    assert cloud.features.shape == (196, 96)
    assert 0 < cloud.shows_answer.sum() < 20
    assert [int(each.kept.sum()) for each in cloud.clouds] == [65, 65]


@pytest.mark.parametrize("formats", [(), ("--format", "html, md")], ids=["default", "spaced"])
def test_the_command_writes_both_pages(tmp_path, capsys, formats):
    out = tmp_path / "new" / "report"
    assert main(["report", "--results", str(tmp_path), "--output", str(out), "--no-examples", *formats]) == 0
    assert capsys.readouterr().out.split() == ["written", f"{out}/index.html", "written", f"{out}/report.md"]
    assert "Left out, as asked" in (out / "report.md").read_text("utf-8")


def test_bad_calls_are_one_line(results, tmp_path, capsys, monkeypatch):
    def fails(*words):
        assert main(["report", "--no-examples", "-o", str(tmp_path / "out"), *words]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        return line

    assert "--results must be a folder of results files, got" in fails("--results", str(tmp_path / "nowhere"))
    assert "formats must be some of html, md, got pdf" in fails("--results", str(results), "--format", "pdf")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "ablations.jsonl").write_text("{\n")
    assert "ablations.jsonl, line 1: expected a JSON object" in fails("--results", str(damaged))
    monkeypatch.setattr(command, "CHECKOUT_RESULTS", tmp_path / "nowhere")
    assert "this is not a checkout, so --results must name a folder" in fails()


def test_a_checkout_has_results():
    assert (command.CHECKOUT_RESULTS / "accuracy_budget.jsonl").is_file()
