import pytest

from errclust_pipeline.warehouse.warehouse import Warehouse


@pytest.fixture(params=["local", "memory"])
def warehouse(request, tmp_path):
    root = f"{tmp_path}/it's [a] root" if request.param == "local" else f"memory://{tmp_path.name}"
    return Warehouse(root)
