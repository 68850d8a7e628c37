import json
import os
import subprocess
import sys

from errclust_pipeline_tests.arrivals.hub import hub_with
from errclust_pipeline_tests.result_files import write_table

LOOK_THREE_TIMES = """
import json, sys
from errclust_pipeline.arrivals import DropFolder
from errclust_pipeline.resources.warehouse import Warehouse

folder = DropFolder(Warehouse(sys.argv[1]), "hf://datasets/me/evals")
look, requests = int(sys.argv[2]), []
for _ in range(3):
    found = folder.look(look)
    look = found.look
    requests += [str(one.partition) for one in found.requests]
print(json.dumps([look, requests]))
"""


def test_a_hub_dataset_is_watched_like_a_folder(tmp_path):
    dataset = tmp_path / "dataset" / "org"
    dataset.mkdir(parents=True)
    results, look = write_table(dataset / "a.csv"), 0
    with hub_with("me/evals", tmp_path / "dataset") as url:
        # A process of its own: the hub's client reads the hub's address when it is imported.
        environment = {**os.environ, "HF_ENDPOINT": url, "HF_HUB_OFFLINE": "0"}
        environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
        for right_every, expected in ((3, ["trivia|org__model-a"]), (4, ["trivia|org__model-a"])):
            write_table(results, right_every=right_every)
            done = subprocess.run(
                [sys.executable, "-c", LOOK_THREE_TIMES, str(tmp_path / "root"), str(look)],
                env=environment,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, done.stderr
            look, requests = json.loads(done.stdout)
            assert requests == expected
