"""The settings reference of the documentation."""

import tomllib

import pytest

from errclust_pipeline.settings import Settings
from errclust_pipeline.settings.reference import descriptions, settings_as_markdown
from errclust_pipeline.settings.sections import Section

SECTIONS = {
    name: info.annotation
    for name, info in Settings.model_fields.items()
    if isinstance(info.annotation, type) and issubclass(info.annotation, Section)
}


def rows():
    """Return the cells of each setting's row, by section and name."""
    found, heading = {}, ""
    for line in settings_as_markdown().splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ").strip("`[]")
        elif line.startswith("| `"):
            cells = [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]
            found[heading, cells[0]] = cells
    return found


@pytest.mark.parametrize("name", SECTIONS)
def test_every_setting_has_a_row_with_its_variable_and_a_description(name):
    written = rows()
    for setting in SECTIONS[name].model_fields:
        cells = written[name, setting]
        assert len(cells) == 5
        assert cells[3] == f"ERRCLUST_{name}__{setting}".upper()
        description = cells[4]
        assert description == descriptions(SECTIONS[name])[setting]
        assert description.endswith(".")
        assert len(description.split()) >= 3


def test_the_defaults_in_the_reference_are_those_of_the_settings():
    lines = []
    for (heading, setting), cells in rows().items():
        if heading in SECTIONS and cells[2] != "not set":
            lines += [f"[{heading}.{setting}]", f"value = {cells[2]}"]
    written = tomllib.loads("\n".join(lines))
    defaults = Settings()
    for name, section in written.items():
        for setting, value in section.items():
            default = getattr(getattr(defaults, name), setting)
            assert (list(default) if isinstance(default, tuple) else default) == value["value"]
    assert sum(map(len, written.values())) > 25


def test_no_row_breaks_the_table_and_old_names_are_told():
    page = settings_as_markdown()
    table_lines = [line.replace("\\|", "") for line in page.splitlines() if line[:1] == "|"]
    assert {line.count("|") for line in table_lines} == {6}
    assert "`statistics.alpha` is called `statistics.fdr` now" in page
