import subprocess
import sys

import dagster as dg
import pytest

from errclust_pipeline.definitions import build_defs
from errclust_pipeline.ingestion.files import ingest
from errclust_pipeline.orchestration.resources import duckdb_resource, open_views
from errclust_pipeline.orchestration.stage_asset import assets_in_flow_order
from errclust_pipeline.stages import STAGES
from errclust_pipeline.warehouse.warehouse import Warehouse
from errclust_pipeline_tests.helpers.graph import asset_specs
from errclust_pipeline_tests.helpers.result_files import write_table
from errclust_pipeline_tests.helpers.running import run_phases


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


def test_the_asset_graph_is_the_recorded_one(root, snapshot):
    """After a change that is meant: ``pytest errclust_pipeline_tests/test_definitions.py
    --snapshot-update``. An automation whose identity changes forgets what it has handled.
    """
    assert asset_specs(build_defs(str(root))) == snapshot


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


def test_assets_are_in_flow_order():
    assert [asset.key.to_user_string() for asset in assets_in_flow_order()] == list(STAGES)


def test_sql_over_the_tables_is_a_resource_that_locks_nobody_out(root, warehouse, tmp_path):
    ingest(warehouse, [write_table(tmp_path / "results.csv")])
    run_phases(warehouse, "label_error_clusters")
    resource = build_defs(str(root)).resources["duckdb"]
    with open_views(resource, warehouse) as one, open_views(resource, warehouse) as another:
        for connection in (one, another):
            assert connection.execute("SELECT count(*) FROM responses").fetchone() == (60,)
        # The catalog can be published while it is read.
        warehouse.publish_catalog()
        with pytest.raises(Exception, match="read-only"):
            one.execute("CREATE TABLE t (x INTEGER)")


def test_a_remote_root_has_its_views_in_memory():
    remote = Warehouse("memory://orchestration-test")
    resource = duckdb_resource(remote.storage)
    with open_views(resource, remote) as connection:
        assert connection.execute("SELECT count(*) FROM responses").fetchone() == (0,)
