"""What a wheel installs, in an environment of its own and outside the checkout, is whole."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
pytestmark = [pytest.mark.wheel, pytest.mark.timeout(1_200)]


def run(*command: object, cwd: Path) -> str:
    """Run a command without the checkout on its path; return what it printed."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Return a virtual environment in which the wheel is installed.

    Dependencies are those of this environment, so that nothing is downloaded; its editable install
    of the checkout is not seen, since a `.pth` file is read only in a site folder of its own.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    shutil.copytree(
        REPOSITORY / "errclust_pipeline",
        source / "errclust_pipeline",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    build = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    run(*pip, *build, source, cwd=folder)
    [wheel] = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    site = run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=folder).strip()
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ["--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    run(*pip, *install, cwd=folder)
    return folder / "venv"


def test_the_demo_runs_from_the_wheel(environment, tmp_path):
    python, errclust = environment / "bin" / "python", environment / "bin" / "errclust"
    where = run(python, "-c", "import errclust_pipeline as e; print(e.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(environment)
    assert run(errclust, "--version", cwd=tmp_path).startswith("errclust ")

    root = tmp_path / "root"
    root.mkdir()
    (root / "errclust.toml").write_text('pictures = false\n[embedding]\nmodel = "hashing"\n')
    assert "Where to look next" in run(errclust, "demo", "--root", root, cwd=tmp_path)
    run(errclust, "report", "demo_numbers", "--root", root, "--out", "r.html", cwd=tmp_path)
    assert "<script" in (tmp_path / "r.html").read_text()


def test_every_file_of_the_package_is_in_the_wheel_and_no_test(environment):
    [installed] = environment.rglob("site-packages")

    def files(root):
        return {
            path.relative_to(root)
            for path in (root / "errclust_pipeline").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    assert files(installed) == files(REPOSITORY)
    assert not (installed / "errclust_pipeline_tests").exists()


def test_the_wheel_says_that_it_is_typed(environment):
    assert list(environment.rglob("errclust_pipeline/py.typed"))
