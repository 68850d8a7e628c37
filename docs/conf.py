"""Configuration of the documentation site. `make docs` builds it; every warning is an error."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generate_reference import write_reference_pages

from errclust_pipeline import __version__

project = "errclust"
author = "the errclust developers"
release = version = __version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
source_suffix = {".md": "myst-nb", ".rst": "restructuredtext"}

html_theme = "furo"
html_title = "errclust"
html_theme_options = {
    "source_edit_link": "",
    "footer_icons": [],
}
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# Commands are shown with their prompt's output now and then; only commands are copied.
copybutton_prompt_text = "$ "

autosummary_generate = True
autosummary_imported_members = False
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# Notebooks are executed when the site is built; an example that fails is an error.
nb_execution_mode = "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

write_reference_pages(Path(__file__).parent / "reference")
