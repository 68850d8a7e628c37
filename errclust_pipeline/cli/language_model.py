"""`errclust language-model`: which one is configured, and whether it answers."""

from __future__ import annotations

from typing import Annotated

import typer

from errclust_pipeline.cli import console
from errclust_pipeline.cli.common import AsJson, DataRoot, stop
from errclust_pipeline.cli.registry import Section, command


@command(
    "language-model",
    Section.OPERATE,
    "errclust language-model --try",
)
def language_model(
    data_root: DataRoot,
    try_it: Annotated[
        bool, typer.Option("--try", help="Send it a small request, to see whether it answers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show which language model is configured and what it has cost so far, over all runs.

    It names clusters and diagnoses errors. Without one, clusters are named by key phrases and
    nothing is diagnosed. The section [language_model] of the settings configures it.
    """
    import tempfile

    from errclust_pipeline.language_model.client import LanguageModel, try_out
    from errclust_pipeline.settings import load_settings
    from errclust_pipeline.warehouse.storage import Storage

    warehouse = data_root.warehouse()
    options = load_settings(warehouse.storage).language_model.options()
    if options is None:
        stop(
            "no language model is configured: set model in [language_model] of errclust.toml; "
            "without one, clusters are named by key phrases"
        )
    usage = {
        "model": options.model,
        "endpoint": options.address,
        "key": f"{options.key_variable} is {'set' if options.key() else 'not set'}",
        **LanguageModel(options, warehouse.storage).totals(),
    }
    if as_json:
        console.print_json(usage)
    else:
        console.print_rows([usage])
    if try_it:
        # With an empty store: a stored answer would not show that it answers now.
        with tempfile.TemporaryDirectory() as folder:
            failure = try_out(LanguageModel(options, Storage(folder)))
        if failure is not None:
            stop(f"{options.model} at {options.address} gives no usable answer: {failure.reason}")
        console.print_message(f"{options.model} answers")
