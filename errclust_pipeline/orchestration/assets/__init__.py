"""The assets, one file for each stage: read tables, call the analysis, write tables.

Importing this package imports all of its modules, and `stage_asset` registers what they define: a
new file needs no entry anywhere else. Every module in here defines an asset; what several assets
share lies one folder up, and what they compute lies in `analysis`.
"""

import importlib
import pkgutil


def import_assets() -> None:
    """Import all modules of this package, so that their assets are registered."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


import_assets()
