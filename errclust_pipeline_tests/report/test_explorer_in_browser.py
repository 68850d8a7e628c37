"""The explorer as users see it: started by the command and opened in a headless Chromium."""

import importlib.util
import signal
import subprocess
import sys

import pytest

from errclust_pipeline.report.explorer import free_port
from errclust_pipeline_tests.orchestration.test_dagster_ui import browser, page, wait_for  # noqa: F401
from errclust_pipeline_tests.report.conftest import HOSTILE

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        importlib.util.find_spec("embedding_atlas") is None,
        reason="embedding-atlas is not installed: `make test-browser` or errclust[explore] does",
    ),
]


@pytest.fixture
def explored(laid_out):
    """Address of the explorer, and the process of the command that started it."""
    address = f"http://127.0.0.1:{(port := free_port(None))}"
    command = [
        sys.executable,
        "-m",
        "errclust_pipeline.cli",
        "explore",
        "trivia",
        "--no-browser",
    ]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--root", laid_out.storage.root], stderr=subprocess.PIPE
    )
    try:
        wait_for(address)
        yield address, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_it_serves_the_table_and_asks_for_nothing_off_the_machine(explored, page):  # noqa: F811
    address, process = explored
    asked, errors = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: (errors.append(dialog.message), dialog.dismiss()))
    page.goto(address)
    page.get_by_text("120 / 120 points").wait_for()
    for column in ("right_answer", "models_wrong", "result: org__model-a"):
        page.get_by_text(column, exact=True).first.wait_for()
    # A question is text, whatever it looks like.
    page.get_by_text(HOSTILE[1]).first.wait_for()
    assert page.locator("[onerror], img[src=x], a[href^=javascript]").count() == 0
    assert errors == []
    assert len(asked) > 5
    assert all(url.startswith((f"{address}/", "blob:", "data:")) for url in asked), asked
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert said.decode().rstrip().endswith("stopped")
