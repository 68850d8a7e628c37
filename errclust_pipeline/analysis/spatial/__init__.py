"""Spatial statistics of errors: questions are a map, errors are marks on it.

All functions take marks (1 error, 0 none, NaN left out) and `neighbours`, an int32 array of shape
(n, k_max) with the positions of every question's nearest others, nearest first; see
`analysis.question_map` for how it is made, or `analysis.knn_graph.cosine_neighbours` for one's own
embeddings.
"""

from errclust_pipeline.analysis.spatial.autocorrelation import (
    GlobalStatistic,
    MutualNeighbours,
    NeighbourWeights,
    global_statistics,
    mutual_neighbours,
    neighbour_weights,
    statistics_frame,
)
from errclust_pipeline.analysis.spatial.counts import (
    DEFAULT_SCALES,
    benjamini_hochberg,
    neighbour_sums,
    neighbourhood_size,
    usable_scales,
)
from errclust_pipeline.analysis.spatial.difficulty import (
    AdjustedTest,
    TooFewModelsError,
    adjusted_tests,
    expected_errors,
    expected_errors_if_known,
    fit_rasch,
)
from errclust_pipeline.analysis.spatial.hot_regions import (
    HotRegion,
    RegionLimits,
    WalkTest,
    clopper_pearson,
    hot_regions,
    regions_frame,
    walk_test,
    walk_test_of_values,
)
from errclust_pipeline.analysis.spatial.hubness import Hubness, hubness
from errclust_pipeline.analysis.spatial.local import (
    LocalTest,
    local_hot_spots,
    local_hot_spots_at_scales,
)
from errclust_pipeline.analysis.spatial.region_table import (
    ErrorTests,
    MapTexts,
    hot_for_others,
    hot_region_table,
    main_region,
)
from errclust_pipeline.analysis.spatial.scan import ScanCluster, scan
from errclust_pipeline.analysis.spatial.smoothing import GraphKernel, graph_kernel
from errclust_pipeline.analysis.spatial.trust import (
    Replication,
    failure_form_association,
    smallest_visible_excess,
    split_half,
    stability,
)
from errclust_pipeline.analysis.spatial.values import (
    HighRegion,
    LocalAverages,
    high_regions,
    local_averages,
)

__all__ = [
    "DEFAULT_SCALES",
    "AdjustedTest",
    "ErrorTests",
    "GlobalStatistic",
    "GraphKernel",
    "HighRegion",
    "HotRegion",
    "Hubness",
    "LocalAverages",
    "LocalTest",
    "MapTexts",
    "MutualNeighbours",
    "NeighbourWeights",
    "RegionLimits",
    "Replication",
    "ScanCluster",
    "TooFewModelsError",
    "WalkTest",
    "adjusted_tests",
    "benjamini_hochberg",
    "clopper_pearson",
    "expected_errors",
    "expected_errors_if_known",
    "failure_form_association",
    "fit_rasch",
    "global_statistics",
    "graph_kernel",
    "high_regions",
    "hot_for_others",
    "hot_region_table",
    "hot_regions",
    "hubness",
    "local_averages",
    "local_hot_spots",
    "local_hot_spots_at_scales",
    "main_region",
    "mutual_neighbours",
    "neighbour_sums",
    "neighbour_weights",
    "neighbourhood_size",
    "regions_frame",
    "scan",
    "smallest_visible_excess",
    "split_half",
    "stability",
    "statistics_frame",
    "usable_scales",
    "walk_test",
    "walk_test_of_values",
]
