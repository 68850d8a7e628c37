"""The rules of the house that a tool can check: where code lies, and how large a function may be.

The layers are guarded by the import contract in `pyproject.toml` (`make check`).
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "errclust_pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 80
MAX_PARAMETERS = 7


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def number_of_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [
        parameter.arg
        for kind in (function.args.posonlyargs, function.args.args, function.args.kwonlyargs)
        for parameter in kind
    ]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def test_no_module_lies_loose_at_the_top_of_the_package():
    loose = {path.stem for path in PACKAGE.glob("*.py")}
    assert loose <= {"__init__", "definitions", "settings", "vocabulary", "progress"}


def test_every_folder_of_the_package_says_what_belongs_in_it():
    for folder in {path.parent for path in MODULES}:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), folder


def test_no_function_is_longer_than_the_limit():
    too_long = [
        f"{path.relative_to(REPOSITORY)}:{function.lineno} {function.name} has {length} lines"
        for path in MODULES
        for function in functions(path)
        if (length := function.end_lineno - function.lineno + 1) > MAX_LINES
    ]
    assert not too_long


def test_no_function_has_more_parameters_than_the_limit():
    too_many = [
        f"{path.relative_to(REPOSITORY)}:{function.lineno} {function.name} has {count} parameters"
        for path in MODULES
        for function in functions(path)
        if (count := number_of_parameters(function)) > MAX_PARAMETERS
    ]
    assert not too_many


def test_documents_of_the_repository_cite_nothing_outside_it():
    cited = re.compile(r"\.\./shared|\b(METHODS|HOUSE|READERS|DESIGN|DEPLOY)(\.md| ?\d|,? section)")
    texts = [*MODULES, *REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in texts
        if "_build" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if cited.search(line)
    ]
    assert not found


def test_the_readme_is_one_that_is_read():
    assert len((REPOSITORY / "README.md").read_bytes()) <= 12_000


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_first_documents_lead_somewhere(document):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (REPOSITORY / document).read_text())
    assert [link for link in links if not (REPOSITORY / link).exists()] == []


def test_version_is_stated_once_for_all_documents():
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    assert f'__version__ = "{version}"' in (PACKAGE / "__init__.py").read_text()
    assert f"\nversion: {version}\n" in (REPOSITORY / "CITATION.cff").read_text()
