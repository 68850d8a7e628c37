"""The page as a file: complete, bounded in size, and safe with any text."""

import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from errclust_pipeline import report
from errclust_pipeline.cli.app import app
from errclust_pipeline.report import ReportError, read_contents, render_page, write_report
from errclust_pipeline.report.render import MODULES, joined_script
from errclust_pipeline_tests.report.conftest import HOSTILE


@pytest.fixture(scope="module")
def contents(trivia):
    return read_contents(trivia, "trivia")


@pytest.fixture(scope="module")
def page(contents):
    return render_page(contents)


class Elements(HTMLParser):
    """All elements of a page, and the contents of its scripts and styles."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.inside, self._open = [], {}, None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._open = dict(attrs).get("id") or tag if tag in ("script", "style") else None

    def handle_data(self, data):
        if self._open:
            self.inside[self._open] = self.inside.get(self._open, "") + data

    def handle_endtag(self, tag):  # noqa: ARG002
        self._open = None


def test_nothing_in_it_loads_anything_and_its_policy_allows_its_own_script_only(page):
    found = Elements(page)
    assert [tag for tag, _ in found.tags].count("script") == 3
    assert not {tag for tag, _ in found.tags} & {"link", "img", "iframe", "object", "embed", "base"}
    for _, attributes in found.tags:
        assert not {"src", "href", "srcdoc", "style"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    policy = next(
        attributes["content"]
        for _, attributes in found.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    for kind, text in (("script", found.inside["script"]), ("style", found.inside["style"])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")


def test_the_modules_of_the_script_fit_together():
    folder = Path(report.__file__).parent / "page"
    sources = {path.stem: path.read_text("utf-8") for path in folder.glob("*.js")}
    assert set(sources) == set(MODULES)
    declared = r"^(?:export )?(?:async )?(?:const|let|function) ([\w$]+)"
    names = Counter(name for text in sources.values() for name in re.findall(declared, text, re.M))
    # They share one scope: a name that stands twice would silently win over the other.
    assert [name for name, number in names.items() if number > 1] == []
    for module, text in sources.items():
        assert text.startswith("// "), module
        body = re.sub(r"^import [^;]*;", "", text, flags=re.M)
        for imported, source in re.findall(r'^import \{([^}]*)\} from "\./(\w+)\.js";', text, re.M):
            for name in re.findall(r"[\w$]+", imported):
                exported = rf"^export (?:async )?(?:const|let|function) {re.escape(name)}(?![\w$])"
                assert re.search(exported, sources[source], re.M), (module, name)
                assert re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", body), (module, name)


def test_the_script_is_one_function_with_no_global_names(tmp_path):
    script = joined_script()
    assert script.startswith('(() => {\n"use strict";\n')
    assert script.endswith("})();\n")
    assert not re.search(r"^(import|export)\b", script, re.M)
    if node := shutil.which("node"):
        (tmp_path / "script.js").write_text(script, "utf-8")
        subprocess.run([node, "--check", tmp_path / "script.js"], check=True)


def test_hostile_texts_are_in_it_as_data_and_come_back_unchanged(page):
    found = Elements(page)
    assert "document.body.remove" not in page
    assert json.loads(found.inside["numbers"])["models"][0]["clusters"]
    texts = json.loads(gzip.decompress(base64.b64decode(found.inside["texts"])))
    for hostile in HOSTILE:
        assert any(hostile in question for question in texts["questions"])
    assert not re.search(r"[<>&\u2028]", found.inside["numbers"])


def test_texts_are_cut_as_far_as_the_size_asks_for(contents, page):
    smaller = render_page(contents, len(page) - 200)
    assert len(smaller) <= len(page) - 200
    with pytest.raises(ReportError, match="name fewer models, with --model"):
        render_page(contents, 10_000)


def test_a_report_that_fails_leaves_the_old_one(contents, tmp_path):
    target = tmp_path / "trivia.html"
    write_report(contents, target)
    before = target.read_bytes()
    with pytest.raises(ReportError):
        write_report(contents, target, most_bytes=10_000)
    assert target.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["trivia.html"]


def test_the_command_writes_it_and_says_where(trivia, tmp_path):
    target = tmp_path / "new folder" / "out.html"
    done = CliRunner().invoke(
        app, ["report", "trivia", "--out", str(target), "--root", trivia.storage.root]
    )
    assert done.exit_code == 0, done.output
    assert target.read_text().startswith("<!doctype html>")
    unknown = CliRunner().invoke(app, ["report", "no-such", "--root", trivia.storage.root])
    assert unknown.exit_code == 2
    assert "there is no benchmark 'no-such'" in unknown.output
