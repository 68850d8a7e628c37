"""The report as readers see it: opened from disk in a headless Chromium, wide and narrow."""

import re
from urllib.parse import quote

import pytest

from errclust_pipeline.report import read_battle_contents, read_contents, write_report
from errclust_pipeline.warehouse.keys import BattleSetPartition
from errclust_pipeline_tests.orchestration.test_dagster_ui import browser  # noqa: F401
from errclust_pipeline_tests.report.conftest import HOSTILE, WEAK

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

SECONDS_TO_INTERACTIVE = 2.0


@pytest.fixture(scope="module")
def reports(laid_out, tmp_path_factory):
    """Reports of hostile texts, of a model that is confidently wrong in chess, and of battles."""
    folder = tmp_path_factory.mktemp("report-page")
    contents = {
        "trivia": read_contents(laid_out, "trivia"),
        "sure": read_contents(laid_out, "sure"),
        "topics": read_battle_contents(laid_out, BattleSetPartition("topics")),
    }
    for name, report_contents in contents.items():
        write_report(report_contents, folder / f"{name}.html")
    return {name: (folder / f"{name}.html").as_uri() for name in contents}


@pytest.fixture(scope="module")
def report(reports):
    return reports["trivia"]


@pytest.fixture(params=[1280, 390], ids=["laptop", "phone"])
def page(request, browser):  # noqa: F811
    """A page that fails the test if it logs or requests anything but its own file."""
    context = browser.new_context(
        viewport={"width": request.param, "height": 800}, has_touch=request.param < 500
    )
    opened = context.new_page()
    opened.set_default_timeout(30_000)
    complaints = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    opened.on(
        "request",
        lambda asked: None if asked.url.startswith("file:") else complaints.append(asked.url),
    )
    yield opened
    context.close()
    assert complaints == []


def read(page, report, address=""):
    """Open a report at an address and wait until its texts are there too."""
    page.goto("about:blank")
    page.goto(f"{report}#{address}")
    # By an element: the page's policy forbids what waiting for an expression would evaluate.
    page.locator("html[data-texts]").wait_for(state="attached")
    # Nothing is wider than the window: only tables in frames of their own may be.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_shows_all_models_and_switches_between_them(page, report):
    read(page, report)
    assert page.title().startswith("trivia")
    assert page.locator("#leaderboard-table tbody tr").count() == 3
    cells = page.locator("#signature-table td a").all_inner_texts()
    assert cells
    assert not {"+0", "−0"} & set(cells)
    for number in range(3):
        name = page.locator("#model option").nth(number).inner_text()
        page.locator("#model").select_option(index=number)
        page.locator("#map-title", has_text=name).wait_for()
        page.locator("#clusters-title", has_text=name).wait_for()
        assert page.locator("#leaderboard-table tr.chosen").get_attribute("data-model") == name
    page.go_back()
    before = page.locator("#model option").nth(1).inner_text()
    page.locator("#map-title", has_text=before).wait_for()


def test_a_click_on_a_region_lists_its_errors_and_each_unfolds(page, report):
    read(page, report)
    page.locator("#region a[data-region]").first.click()
    count = int(page.locator("#region h4").inner_text().split("(")[1].rstrip(")"))
    assert count > 0
    assert page.locator("#region .row").count() == min(count, 8)
    page.locator("#region .row summary").first.click()
    body = page.locator("#region .row-body").first
    body.get_by_text("Correct answer:").wait_for()
    assert body.locator(".who li").count() == 3
    # The same by a click on a coloured dot of the map.
    page.locator("#region .close").click()
    page.locator("#canvas").scroll_into_view_if_needed()
    at = page.evaluate(
        """() => {
          const canvas = document.getElementById("canvas");
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          for (let at = 0; at < pixels.data.length; at += 4) {
            const [red, green, blue, alpha] = pixels.data.slice(at, at + 4);
            if (alpha > 250 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) {
              const density = canvas.width / canvas.clientWidth, pixel = at / 4;
              return [pixel % canvas.width / density, Math.floor(pixel / canvas.width) / density];
            }
          }
        }"""
    )
    page.locator("#canvas").click(position={"x": at[0], "y": at[1]})
    page.wait_for_url(re.compile("region="))
    page.locator("#region .panel-head h3").wait_for()
    page.locator("#hover .who li").first.wait_for()


def test_two_models_are_compared_and_every_number_opens_its_rows(page, report):
    read(page, report)
    a, b = (page.locator("#model option").nth(at).inner_text() for at in (2, 0))
    page.get_by_label("Model A").select_option(a)
    page.get_by_label("Model B").select_option(b)
    verdict = page.locator("#compare-verdict li").first
    verdict.get_by_text(a).wait_for()
    assert "95 % interval" in verdict.inner_text()
    row = page.locator("#compare-table tbody tr").first
    link = row.locator(".rows-link").first
    link.click()
    page.locator("#rows[open]").wait_for()
    said = int(link.inner_text())
    assert page.locator("#rows-list .row").count() == min(said, 20)
    page.keyboard.press("Escape")
    page.locator("#rows[open]").wait_for(state="hidden")
    page.get_by_label("Swap A and B").click()
    page.locator("#compare-verdict li").first.get_by_text(f"{b} (A)").wait_for()


def test_a_deep_link_opens_what_it_names(page, report):
    read(page, report)
    model = page.locator("#model option").nth(2).inner_text()
    region = page.locator("#region a[data-region]").last.get_attribute("data-region")
    encoded = quote(model, safe="")
    read(page, report, f"model={encoded}&region={region}")
    page.locator("#map-title", has_text=model).wait_for()
    assert page.locator("#region .panel-head .id").inner_text() == region
    # What it names is in sight.
    assert page.evaluate("document.getElementById('map').getBoundingClientRect().top") < 200
    read(page, report, f"model={encoded}&region={region}&rows=errors")
    assert page.locator("#rows-title").inner_text().startswith(f"Errors of {model} in {region}")
    read(page, report, "model=no-such&region=99&rows=cluster&hot=x")
    page.get_by_text("There is no model no-such").wait_for()


def test_clusters_unfold_to_question_right_answer_and_response(page, report):
    read(page, report)
    page.locator("#clusters-list summary").first.click()
    page.locator(".cluster-body .row summary").first.click()
    body = page.locator(".cluster-body .row-body").first
    body.get_by_text("Its response:").wait_for()
    assert "I think it is" in body.locator(".response").inner_text()


def test_hostile_texts_are_shown_as_what_they_are(page, report):
    read(page, report, "rows=errors")
    for _ in range(20):
        more = page.locator("#rows-list > .row-list > button")
        if not more.is_visible():
            break
        more.click()
    for summary in page.locator("#rows-list .row > summary").all():
        summary.evaluate("summary => summary.parentElement.open = true")
    page.wait_for_timeout(200)
    shown = page.evaluate("document.getElementById('rows-list').textContent")
    for hostile in HOSTILE:
        assert hostile in shown
    assert "1,048," in shown  # the endless one is cut, and says how long it is
    assert page.locator("body img, body iframe, bdi *, bdi script").count() == 0
    assert page.locator("a[href^='javascript']").count() == 0
    # What turns the direction of writing ends with its own element.
    isolated = "node => getComputedStyle(node).unicodeBidi"
    assert page.locator("#rows-list bdi").first.evaluate(isolated) == "isolate"


def test_it_can_be_used_with_the_keyboard_alone(page, report):
    read(page, report)
    page.locator("#signature-table .cell a").first.focus()
    page.keyboard.press("Enter")
    page.locator("#rows[open]").wait_for()
    assert page.evaluate("document.activeElement.closest('dialog') !== null")
    page.keyboard.press("Escape")
    page.locator("#region-choice").focus()
    page.keyboard.press("ArrowDown")
    page.locator("#region .panel-head h3").wait_for()
    before = page.locator("#canvas").evaluate("canvas => canvas.toDataURL()")
    page.locator("#canvas").focus()
    page.keyboard.press("+")
    page.wait_for_timeout(200)
    assert page.locator("#canvas").evaluate("canvas => canvas.toDataURL()") != before


def test_where_a_model_is_confidently_wrong_is_shown_tested_and_listed(page, reports):
    read(page, reports["trivia"])
    assert not page.locator("#confidence").is_visible()
    assert page.get_by_role("button", name="set size").count() == 0
    page.get_by_text(
        "How confident the models are is not known. No option probabilities"
    ).wait_for()
    read(page, reports["sure"], "show=sets")
    assert page.locator("#map-claim").inner_text().count("Moran's I is") == 1
    assert "conditional permutation" in page.locator("#legend").inner_text()
    place = page.locator("#confidence table").nth(1).locator("tbody tr").first
    assert "chess" in place.inner_text()
    link = place.locator(".rows-link")
    link.click()
    page.locator("#rows[open]").wait_for()
    said = int(link.evaluate("link => link.textContent"))
    assert page.locator("#rows-list .row").count() == min(said, 20)
    assert page.locator("#rows-list .badge").first.inner_text().startswith("confidence ")
    page.keyboard.press("Escape")
    place.locator("th a").click()
    page.locator("#region h3", has_text="Confidently wrong region 1").wait_for()
    page.locator("#region", has_text="2 of 2 halves confirm it").wait_for()


def test_of_battles_it_shows_ratings_where_each_wins_and_each_battle(page, reports):
    read(page, reports["topics"], "model=chess-player")
    assert page.locator("#leaderboard-table th a").all_inner_texts()[-1] == WEAK
    assert not page.locator("#clusters").is_visible()
    page.get_by_role("button", name="beyond rating").click()
    page.locator("#map-claim", has_text="standard deviations above").wait_for()
    place = page.locator("#hot-table tbody tr").first
    assert "chess" in place.inner_text()
    assert "better" in place.locator(".mark").inner_text()
    place.locator(".rows-link").click()
    page.locator("#rows[open]").wait_for()
    said = int(place.locator(".rows-link").evaluate("link => link.textContent"))
    assert page.locator("#rows-claim").inner_text().startswith(f"{said} battles judged by people")
    page.locator("#rows-list .row summary").first.click()
    body = page.locator("#rows-list .row-body").first
    body.locator(".response").nth(1).wait_for()
    assert body.locator(".response").count() == 2
    assert any(hostile[:20] in body.inner_text() for hostile in HOSTILE)
    page.keyboard.press("Escape")
    # By the verdicts of models, against one other, and by a link.
    page.locator("#leaderboard-controls").get_by_role("button", name="models").click()
    page.locator("#leaderboard-note", has_text="ratings from the verdicts of models").wait_for()
    page.get_by_label("Model B").select_option(WEAK)
    page.locator("#compare-verdict", has_text="In battles with each other A won").wait_for()
    assert "95 % interval" in page.locator("#compare-verdict").inner_text()
    read(page, reports["topics"], f"with={quote(WEAK, safe='')}&show=against&rows=vs_won")
    assert page.locator("#rows-title").inner_text() == f"Battles won by strong against {WEAK}"
    assert page.locator("body b, body img, bdi *").count() == 0


def test_it_is_interactive_soon(page, report):
    read(page, report)
    ready = page.evaluate("Number(document.documentElement.dataset.ready)")
    assert ready < 1000 * SECONDS_TO_INTERACTIVE
