"""Which examples a fine-tune would profit from: need, specificity and reach, then coverage.

In order: `model_demand` weighs a model's errors (`demand_weights`) after finding questions whose
key is doubtful (`label_errors`); `contaminated` keeps the benchmark's own questions out;
`choose_candidates` picks those that together cover most of the demand (`select`) and compares with
baselines; `pick_table` and `target_specifications` say why, and what to write where there is no
pool.
"""

from errclust_pipeline.analysis.selection.baselines import (
    DENSEST_FIRST,
    LIKE_THE_BENCHMARK,
    RANDOM,
    RANDOM_ERRORS,
    baseline_coverage,
    baseline_picks,
)
from errclust_pipeline.analysis.selection.choice import ChosenCandidates, choose_candidates
from errclust_pipeline.analysis.selection.contamination import Contamination, contaminated
from errclust_pipeline.analysis.selection.coverage import (
    Selection,
    candidate_groups,
    covered_share,
    group_caps,
    select,
    similarity_graph,
    suggested_budget,
)
from errclust_pipeline.analysis.selection.demand import HOT_BELOW, Demand, demand_weights
from errclust_pipeline.analysis.selection.label_errors import (
    FEWEST_ANSWERS,
    MOST_LABEL_ERRORS,
    NO_ANSWER,
    LabelErrors,
    answer_codes,
    label_errors,
)
from errclust_pipeline.analysis.selection.model_demand import (
    Answer,
    DemandEvidence,
    ModelDemand,
    model_demand,
    shared_suspects,
)
from errclust_pipeline.analysis.selection.reasons import (
    PICK_COLUMNS,
    SPECIFICATION_COLUMNS,
    DevelopmentQuestions,
    label_error_reason,
    pick_table,
    target_specifications,
)
from errclust_pipeline.analysis.selection.split import in_development

__all__ = [
    "DENSEST_FIRST",
    "FEWEST_ANSWERS",
    "HOT_BELOW",
    "LIKE_THE_BENCHMARK",
    "MOST_LABEL_ERRORS",
    "NO_ANSWER",
    "PICK_COLUMNS",
    "RANDOM",
    "RANDOM_ERRORS",
    "SPECIFICATION_COLUMNS",
    "Answer",
    "ChosenCandidates",
    "Contamination",
    "Demand",
    "DemandEvidence",
    "DevelopmentQuestions",
    "LabelErrors",
    "ModelDemand",
    "Selection",
    "answer_codes",
    "baseline_coverage",
    "baseline_picks",
    "candidate_groups",
    "choose_candidates",
    "contaminated",
    "covered_share",
    "demand_weights",
    "group_caps",
    "in_development",
    "label_error_reason",
    "label_errors",
    "model_demand",
    "pick_table",
    "select",
    "shared_suspects",
    "similarity_graph",
    "suggested_budget",
    "target_specifications",
]
