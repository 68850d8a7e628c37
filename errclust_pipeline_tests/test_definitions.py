import subprocess
import sys

import dagster as dg

from errclust_pipeline.definitions import build_defs


def test_loading_the_definitions_imports_no_heavy_library():
    program = (
        "import sys, errclust_pipeline.definitions\n"
        "heavy = {'torch', 'umap', 'sentence_transformers', 'transformers', 'sklearn', 'numba',"
        " 'sknetwork', 'datasets'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_asset_graph_is_the_documented_one(root):
    graph = build_defs(str(root)).resolve_asset_graph()
    parents = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents == {
        "raw_results": set(),
        "error_table": {"raw_results"},
        "error_embeddings": {"error_table"},
        "error_clusters": {"error_embeddings"},
        "cluster_labels": {"error_table", "error_embeddings", "error_clusters"},
        "questions": {"raw_results"},
        "question_map": {"questions"},
        "region_labels": {"questions", "question_map"},
        "hot_spots": {"question_map", "region_labels", "raw_results", "error_table"},
        "autocorrelation": {"question_map", "raw_results", "error_table"},
        "uncertainty": {"question_map", "region_labels", "raw_results"},
        "training_candidates": {
            "questions",
            "question_map",
            "region_labels",
            "raw_results",
            "error_table",
            "hot_spots",
        },
        "error_diagnoses": {"question_map", "raw_results", "error_table"},
        "diagnosis_clusters": {"error_diagnoses", "error_table"},
        "leaderboard": {"question_map", "raw_results", "error_table", "uncertainty"},
        "model_comparison": {"question_map", "raw_results", "error_table"},
        "battles": set(),
        "prompt_map": {"battles"},
        "ratings": {"battles", "prompt_map"},
    }


def test_every_asset_says_what_it_is(root):
    for asset in build_defs(str(root)).resolve_asset_graph().asset_nodes:
        assert asset.description
        assert asset.group_name != "default"
        assert asset.code_version
        assert asset.kinds


def test_resources_can_be_replaced(root):
    defs = build_defs(
        str(root), resource_overrides={"embedder": dg.ResourceDefinition.none_resource()}
    )
    assert isinstance(defs.resources["embedder"], dg.ResourceDefinition)
    assert build_defs(str(root)).resources["embedder"].model == "hashing"
