"""The map and hot spots on the command line."""

import json


def test_the_map_shows_each_region_with_every_models_error_rate(after_run):
    shown = after_run("map", "trivia").stdout
    found = json.loads(after_run("map", "trivia", "--json").stdout)
    assert {row["model"] for row in found["models"]} == {
        "org__model-a", "org__model-b", "org__model-c",
    }  # fmt: skip
    for region in found["regions"]:
        assert region["label"] in shown
    chess = next(row for row in found["regions"] if row["main_subject"] == "chess")
    rates = {
        row["model"]: row["errors"] / row["questions"]
        for row in found["signatures"]
        if row["region_id"] == chess["region_id"]
    }
    assert rates["org__model-c"] == 1.0
    assert 0.6 < rates["org__model-a"] < 0.7
    # Worse than its ability and the region's difficulty explain.
    assert "100+" in shown


def test_hotspots_name_the_place_with_its_evidence(after_run):
    done = after_run("hotspots", "trivia", "org/model-c", "--examples", "1")
    found = json.loads(after_run("hotspots", "trivia", "org/model-c", "--json").stdout)
    raw, own = (
        [row for row in found["regions"] if row["basis"] == basis]
        for basis in ("errors", "beyond_difficulty")
    )
    assert len(raw) == len(own) == 1
    for (row,) in (raw, own):
        assert row["rate"] == 1.0
        assert row["size"] >= 30
        assert "chess" in " ".join(row["key_phrases"])
        assert row["hot_for_others"] == []
        assert row["replicated_halves"] == 2
        assert ", ".join(row["key_phrases"][:1]) in done.stdout
    assert "0/2" in done.stdout
    assert "chess opening line" in done.stdout
    assert after_run("hotspots", "trivia", "org/model-a").stdout.count("none found") == 2


def test_a_model_of_artefacts_only_can_be_shown(errclust, tmp_path):
    path = tmp_path / "empty.jsonl"
    rows = [{"input_text": f"what is {n}?", "output_text": "", "score": 0} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    errclust("ingest", str(path), "--model", "org/silent", "--benchmark", "quiz")
    errclust("ingest", str(path), "--model", "org/silent-too", "--benchmark", "quiz")
    assert errclust("run").exit_code == 0
    assert "100%" in errclust("map", "quiz").stdout
    compared = errclust("compare", "quiz", "org/silent", "org/silent-too")
    assert compared.exit_code == 0
    assert "nan" not in compared.stdout
