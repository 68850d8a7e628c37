"""Ratings from battles: who is better, how surely, and whether that depends on the topic.

`battles_of` makes `Battles` of columns; `fit_ratings` rates the models; `regional_ratings` does so
by region of the prompts, and tests whether regions differ. `JudgedBattles` are the battles of one
kind of judge on the map of their prompts.
"""

from errclust_pipeline.analysis.ratings.agreement import (
    RankAgreement,
    VerdictAgreement,
    rank_agreement,
    verdict_agreement,
    verdicts_by_judge,
)
from errclust_pipeline.analysis.ratings.battles import (
    SCORES,
    Battles,
    NotComparableError,
    battles_of,
    components,
)
from errclust_pipeline.analysis.ratings.bradley_terry import (
    CENTRE,
    Coefficient,
    Difference,
    Ratings,
    bootstrap_ratings,
    fit_ratings,
)
from errclust_pipeline.analysis.ratings.elo import online_elo
from errclust_pipeline.analysis.ratings.judged_battles import (
    JudgedBattles,
    compare_by_battles,
    regions_at_levels,
)
from errclust_pipeline.analysis.ratings.likelihood import ELO
from errclust_pipeline.analysis.ratings.regions import (
    RegionalRatings,
    regional_ratings,
    residual_by_prompt,
)
from errclust_pipeline.analysis.ratings.style import FEATURES, style_counts, style_differences

__all__ = [
    "CENTRE",
    "ELO",
    "FEATURES",
    "SCORES",
    "Battles",
    "Coefficient",
    "Difference",
    "JudgedBattles",
    "NotComparableError",
    "RankAgreement",
    "Ratings",
    "RegionalRatings",
    "VerdictAgreement",
    "battles_of",
    "bootstrap_ratings",
    "compare_by_battles",
    "components",
    "fit_ratings",
    "online_elo",
    "rank_agreement",
    "regional_ratings",
    "regions_at_levels",
    "residual_by_prompt",
    "style_counts",
    "style_differences",
    "verdict_agreement",
    "verdicts_by_judge",
]
