"""The Dagster UI as its users see it: a real webserver, in a headless Chromium."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration.instance import dagster_home
from errclust_pipeline.tables import ERRORS
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.conftest import quick_root, with_pictures
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import failures_of, run_phases

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

REPOSITORY = Path(__file__).parents[2]
GROUPS = ["submissions", "errors", "map", "statistics", "diagnosis", "comparison"]
HOSTILE = "<img src=x onerror=document.body.remove()>"


def wait_for(address, seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address):
                return
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of a webserver on a root where everything was computed."""
    folder = tmp_path_factory.mktemp("ui")
    warehouse = Warehouse(str(with_pictures(quick_root(folder / "root"))))
    file = write_table(folder / "results.csv", ["org/model-a", "org/model-b"])
    file.write_text(file.read_text().replace("town number 1 ", f"{HOSTILE} 1 "))
    ingest(warehouse, [file])
    home = dagster_home(warehouse.storage)
    assert failures_of(run_phases(warehouse)) == []
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with (folder / "webserver.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster_webserver", "-w", "workspace.yaml", "-p", str(port)],
            cwd=REPOSITORY,
            env={
                **os.environ,
                "DAGSTER_HOME": str(home),
                "ERRCLUST_ROOT": warehouse.storage.root,
            },
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/server_info")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1800, "height": 1200})
    opened = context.new_page()
    opened.set_default_timeout(45_000)
    yield opened
    context.close()


def test_the_asset_graph_shows_its_groups_and_their_assets(server, page):
    page.goto(f"{server}/asset-groups?expanded={'%2C'.join(GROUPS)}")
    for group in GROUPS:
        page.get_by_text(group, exact=True).first.wait_for()
    page.goto(f"{server}/locations/errclust/asset-groups/errors/lineage")
    for asset in ("error_table", "error_embeddings", "error_clusters", "cluster_labels"):
        page.get_by_text(asset, exact=True).first.wait_for()


def test_a_materialisation_shows_its_columns_rows_and_a_preview_as_text(server, page):
    page.goto(f"{server}/assets/error_table?view=partitions&partition=trivia%7Corg__model-a")
    for text in ("dagster/row_count", "made_from", "failure_form/wrong_answer", "preview"):
        page.get_by_text(text).first.wait_for()
    # What a source wrote is text, whatever it looks like.
    page.get_by_text(HOSTILE).first.wait_for()
    page.get_by_text("Show table").first.click()
    # The description of a column, as its table states it.
    description = ERRORS.schema.field("response_tail").metadata[b"description"].decode()
    page.get_by_text(description).first.wait_for()


def test_an_assets_page_shows_a_table_at_once_and_its_picture_at_a_click(server, page):
    page.goto(f"{server}/assets/leaderboard?view=partitions&partition=trivia")
    page.locator(".dagster-markdown td", has_text="org__model-a").wait_for()
    page.get_by_text("[Show Markdown]").click()
    picture = page.locator(".dagster-markdown img")
    picture.wait_for()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
