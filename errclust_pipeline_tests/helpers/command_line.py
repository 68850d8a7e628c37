"""The command line in this process, as tests call it."""

from typer.testing import CliRunner

from errclust_pipeline.cli.app import app

_RUNNER = CliRunner()


def errclust_at(root):
    """Return a function that calls `errclust` with a data root and returns what came of it."""

    def call(*arguments: str):
        return _RUNNER.invoke(
            app, list(arguments), env={"ERRCLUST_ROOT": str(root), "COLUMNS": "200"}
        )

    return call
