"""The explorer and the report in a real browser: `nox -s browser`, which names Chromium by SHIRG_CHROMIUM."""

import os
import re

import pytest
from playwright.sync_api import sync_playwright

from shirg_bench.report.build import build_report
from shirg_core.cli.app import main

from .explore_setup import draw_page, selected, write_explorer
from .report_rows import accuracy_rows, write

METHODS, BUDGETS = "v4,v3,pooling", "1/12,1/6,1/3,100%"
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["SHIRG_CHROMIUM"], args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pixels(image):
    """A page without a model, and its data."""
    folder = image.parent
    wide = draw_page(folder / "wide.png", (800, 300))
    argv = (image, wide, "--methods", METHODS, "--budgets", BUDGETS)
    return folder / "explorer.html", write_explorer(folder, *argv)[1]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A page with answers, in two views of which one is padded."""
    folder = tmp_path_factory.mktemp("asked")
    assert main(["samples", str(folder / "samples")]) == 0
    argv = (folder / "samples" / "page0_plain.png", "--question", "What is the value of bolts?", "--answer", "882")
    write_explorer(folder, *argv, "--methods", "v4,random", "--budgets", "1/12,1/3,100%")
    return folder / "explorer.html"


@pytest.fixture
def visit(chromium):
    """Open a file; whatever the console says is an error of the test, and so is a request for anything else."""
    said, contexts = [], []

    def open_page(path, *, viewport=DESKTOP, scheme="light", scripts=True):
        context = chromium.new_context(viewport=viewport, color_scheme=scheme, java_script_enabled=scripts)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if request.url.startswith("http") else None)
        page.goto(path.as_uri())
        if scripts and path.name == "explorer.html":
            page.wait_for_selector("#app:not([hidden])")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []


def facts(page, panel=0):
    return page.locator(".facts").nth(2 * panel if page.locator(".answer").count() else panel).inner_text()


def clear_tokens(page, panel=0):
    """Tokens of the single view that no rectangle covers."""
    path = page.locator("#panels .dropped").nth(panel).get_attribute("d")
    size = [float(edge) for edge in page.locator("#panels .picture").nth(panel).get_attribute("viewBox").split()]
    area = sum(float(w) * float(h) for w, h in re.findall(r"h([\d.]+)v([\d.]+)h-", path))
    return round(2304 * (1 - area / (size[2] * size[3])))


def test_the_slider_moves_and_its_counts_are_those_of_select(pixels, visit, image):
    page = visit(pixels[0])
    slider = page.locator("#budget")
    slider.focus()
    slider.press("Home")
    for budget, run in zip(BUDGETS.split(","), pixels[1]["images"][0]["methods"][0]["runs"], strict=True):
        kept = len(selected(image.parent, image, "v4", budget))
        assert run["k"] == kept
        assert f"keeps {kept} of 2304 tokens" in facts(page)
        assert page.locator("#kept").inner_text() == f"{budget} · v4 {kept}, v3 {kept} tokens"
        assert abs(clear_tokens(page) - kept) <= 2
        slider.press("ArrowRight")


def test_methods_views_and_images_switch(pixels, visit):
    page = visit(pixels[0])
    page.get_by_label("Method").nth(1).select_option("pooling")
    assert "keeps 576 of 2304 tokens, whatever the budget · averages of patches" in facts(page, 1)
    page.get_by_label("Method").nth(1).select_option("– one picture –")
    assert page.locator(".picture:visible").count() == 1
    page.get_by_label("Image").select_option("wide.png")
    assert page.locator(".picture").first.get_attribute("viewBox") == "0 0 800 300"
    page.get_by_label("Colour").select_option("edges")
    assert page.locator(".heat image").first.get_attribute("href").startswith("data:image/png")


def test_a_patch_by_pointer_and_by_keyboard(pixels, visit):
    page = visit(pixels[0])
    picture, patch = page.locator(".picture").first, page.locator(".patch").first
    box = picture.locator(".page").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 10.5 / 48, box["y"] + box["height"] * 5.5 / 48)
    assert "row 6, column 11 · rank" in patch.inner_text()
    assert "row 6, column 11 · rank" in page.locator(".patch").nth(1).inner_text()
    assert [row.split()[0] for row in page.locator(".patch").nth(1).locator("th").all_inner_texts()] == [
        "attention",
        "magnitude",
        "gradient",
        "score",
    ]
    page.mouse.move(2, 2)
    picture.focus()
    picture.press("ArrowRight")
    picture.press("ArrowDown")
    assert "row 7, column 12 · rank" in patch.inner_text()


def test_answers_follow_the_budget_and_the_charts(asked, visit):
    page = visit(asked)
    chart = page.locator(".chart").first
    assert "Confidence of the answer" in chart.inner_text()
    drawn = chart.locator("svg")
    drawn.click(position={"x": drawn.bounding_box()["width"] * 0.96, "y": 60})
    assert page.locator("#kept").inner_text().startswith("100%")
    assert page.locator(".answer").first.inner_text() == "882 ✓"
    assert page.locator(".steps").first.locator("li").last.inner_text() == "882"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("which", ["pixels", "asked"])
def test_a_phone_scrolls_in_one_direction(which, scheme, visit, request):
    path = request.getfixturevalue(which)
    page = visit(path if which == "asked" else path[0], viewport=PHONE, scheme=scheme)
    page.locator(".picture").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 24, 28)"}[scheme]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report on made-up rows."""
    folder = tmp_path_factory.mktemp("report")
    write(folder / "accuracy_budget.jsonl", [*accuracy_rows(), *accuracy_rows()])
    build_report(folder, folder / "report", ["html"], examples=False)
    return folder / "report" / "index.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_on_a_phone(report, visit, scheme):
    page = visit(report, viewport=PHONE, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert page.evaluate("document.documentElement.scrollHeight") < 15_000
    assert page.locator("#summary table").is_visible()
    ledger = page.locator("#claims-ledger details").first
    assert not ledger.locator("table").is_visible()
    ledger.locator("summary").click()
    inside = ledger.locator(".table")
    inside.evaluate("table => { table.scrollTop = 400; }")
    assert ledger.locator("th").first.bounding_box()["y"] == pytest.approx(inside.bounding_box()["y"], abs=1)


def test_without_javascript_there_is_the_static_picture(pixels, visit):
    page = visit(pixels[0], scripts=False)
    assert page.locator("#app").is_hidden()
    first = page.locator(".still").first
    assert first.is_visible()
    assert "v4 keeps 768 of 2304 tokens" in first.inner_text()
