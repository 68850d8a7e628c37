"""Battle sets: verdicts on pairs of responses, the map of their prompts, and ratings."""

import pyarrow as pa
import pyarrow.compute as pc

from errclust_pipeline.tables.column import (
    FROM_1,
    INT64,
    NON_NEGATIVE,
    SETTINGS,
    SOURCE,
    Column,
    Role,
    category,
    count,
    flag,
    identifier,
    measure,
    p_value,
    q_value,
    share,
    text,
)
from errclust_pipeline.tables.questions import QUESTION_MAP, REGION_LABELS
from errclust_pipeline.tables.responses import REJECTS
from errclust_pipeline.tables.table import KeptBy, Table
from errclust_pipeline.vocabulary import JUDGE_KINDS, WINNERS


def no_model_meets_itself(rows: pa.Table) -> list[str]:
    """Say how many battles are of a model against itself."""
    count = int(pc.sum(pc.equal(rows["model_a"], rows["model_b"])).as_py() or 0)
    return [f"{count:,} battles are of a model against itself"] if count else []


BATTLES = Table(
    "battles",
    "one verdict of one judge on two models' responses to one prompt",
    ("battle_id",),
    (
        identifier("battle_id", "Id of the verdict, unique in the battle set."),
        identifier("question_id", "Hash of the normalised prompt."),
        text(
            "subject",
            "Category of the prompt inside the battle set; null if it has none.",
            role=Role.CATEGORY,
            nullable=True,
        ),
        text(
            "prompt",
            "The user's messages up to the turn that is judged, separated by blank lines.",
        ),
        text(
            "response_a",
            "What model A answered to them; null if the source does not hold it.",
            nullable=True,
        ),
        text(
            "response_b",
            "What model B answered to them; null if the source does not hold it.",
            nullable=True,
        ),
        identifier("model_a", "Name of the model that was shown first."),
        identifier("model_b", "Name of the other model, never the same one."),
        category("winner", "The verdict: " + ", ".join(WINNERS) + ".", words=WINNERS),
        identifier(
            "judge", "Who judged, by the source's id; null if it is not known.", nullable=True
        ),
        category(
            "judge_kind",
            "What kind of judge it is: " + " or ".join(JUDGE_KINDS) + ".",
            words=JUDGE_KINDS,
        ),
        count(
            "turn",
            "Number of the user message that is judged, with all before it; from 1.",
            range=FROM_1,
        ),
        text(
            "language",
            "Language of the prompt, as the source names it; null if it does not.",
            role=Role.CATEGORY,
            nullable=True,
        ),
        Column(
            "time",
            "When the verdict was given, in UTC; null if it is not known.",
            pa.timestamp("us"),
            Role.TIME,
            nullable=True,
        ),
        text(
            "metadata",
            "Whatever else the source says about the verdict, as a JSON object; null if nothing.",
            nullable=True,
        ),
        identifier("battle_set_name", "The battle set's name as the source writes it."),
        identifier("source", "The file that the verdict was read from."),
        count("position", "Position of its row in that file, from 0.", type=INT64),
        identifier("revision", "Version of the battle set: the hash of its content."),
    ),
    kept_by=KeptBy.BATTLE_SET,
    made_from=(SOURCE,),
    rules=(no_model_meets_itself,),
)

BATTLE_REJECTS = Table(
    "battle_rejects",
    "one verdict, or a whole row of a file of battles, that could not be used",
    ("source", "position", "judge"),
    (
        *(column for column in REJECTS.columns if column.name != "revision"),
        identifier(
            "judge",
            "The judge of the rejected verdict, where a row holds several; null for a whole row.",
            nullable=True,
        ),
        REJECTS.column("revision"),
    ),
    kept_by=KeptBy.BATTLE_SET,
    made_from=(SOURCE,),
)

PROMPT_MAP = Table(
    "prompt_map",
    "one prompt's place on the map of the battle set's prompts",
    QUESTION_MAP.key,
    QUESTION_MAP.columns_made_from(
        BATTLES.paths("prompt"), question_id=BATTLES.paths("question_id")
    ),
    kept_by=KeptBy.BATTLE_SET,
)

PROMPT_REGIONS = Table(
    "prompt_regions",
    "one region of the map of the battle set's prompts, named",
    REGION_LABELS.key,
    REGION_LABELS.columns_made_from(
        BATTLES.paths("prompt"),
        written_by=(SETTINGS,),
        main_subject=BATTLES.paths("prompt", "subject"),
    ),
    kept_by=KeptBy.BATTLE_SET,
)

_VERDICTS = BATTLES.paths("model_a", "model_b", "winner", "judge_kind", "question_id", "judge")
_ON_THE_MAP = _VERDICTS + PROMPT_MAP.paths("position")
_BY_REGION = _ON_THE_MAP + PROMPT_MAP.paths("region_id") + BATTLES.paths("subject")
_KIND = category(
    "judge_kind",
    "Whose verdicts are counted: " + " or ".join(JUDGE_KINDS) + ".",
    words=JUDGE_KINDS,
    made_from=BATTLES.paths("judge_kind"),
)
_REGION = identifier(
    "region_id",
    "A region of `prompt_map`; at level 0 a subject as the source names it.",
    made_from=PROMPT_MAP.paths("region_id") + BATTLES.paths("subject"),
)
_LEVEL = count(
    "level",
    "Level of the region, each tested by itself; 0 stands for the source's subjects.",
    made_from=PROMPT_MAP.paths("region_id"),
)
_MODEL = identifier("model", "The model's name.", made_from=BATTLES.paths("model_a", "model_b"))

RATINGS = Table(
    "ratings",
    "one model of the battle set, rated by one kind of judge",
    ("judge_kind", "model"),
    (
        _KIND,
        _MODEL,
        count("battles", "Battles that the model fought.", type=INT64, unit="battles"),
        share(
            "win_rate",
            "Share of them that it won, a tie being half a win; it depends on the opponents.",
        ),
        measure(
            "rating",
            "Bradley-Terry rating on the Elo scale, a tie being half a win.",
            unit="Elo points",
        ),
        measure(
            "standard_error",
            "Standard error of `rating`, clustered by prompt, and by judge if there are many.",
            unit="Elo points",
            range=NON_NEGATIVE,
        ),
        measure(
            "low",
            "Lower end of the 95 % confidence interval of `rating`; null if there is one prompt "
            "only.",
            unit="Elo points",
            nullable=True,
        ),
        measure(
            "high",
            "Upper end of the 95 % confidence interval of `rating`; null if there is one prompt "
            "only.",
            unit="Elo points",
            nullable=True,
        ),
        count(
            "clusters",
            "Prompts, or judges, that the interval rests on: with fewer than about 30 it is rough.",
            type=INT64,
        ),
        count(
            "component",
            "Only ratings with the same number can be compared: those of models connected by a "
            "chain of battles.",
        ),
        flag(
            "bounded",
            "Whether battles alone determine the rating; false if the model never lost, or never "
            "won, so that the rating rests on the prior.",
        ),
        measure(
            "style_rating",
            "The rating if all responses were of the same style; null if responses are not known.",
            unit="Elo points",
            nullable=True,
            made_from=_ON_THE_MAP + BATTLES.paths("response_a", "response_b"),
        ),
        count(
            "k",
            "Number of nearest neighbours of a prompt for the columns below.",
            unit="prompts",
            made_from=PROMPT_MAP.paths("neighbours"),
        ),
        measure(
            "moran",
            "Moran's I, over prompts, of the model's score less the score that ratings expect: "
            "above 0 if winning depends on the topic. Null where it is not defined.",
            nullable=True,
            made_from=_ON_THE_MAP + PROMPT_MAP.paths("neighbours"),
        ),
        measure(
            "moran_z",
            "Standard score of `moran`, from the exact mean and variance over all permutations; "
            "null where it is not defined.",
            unit="standard deviations",
            nullable=True,
            made_from=_ON_THE_MAP + PROMPT_MAP.paths("neighbours"),
        ),
    ),
    kept_by=KeptBy.BATTLE_SET,
    made_from=_ON_THE_MAP,
)

BATTLE_REGIONS = Table(
    "battle_regions",
    "one region or subject of the prompts, by one kind of judge: whether models fare as elsewhere",
    ("judge_kind", "level", "region_id"),
    (
        _KIND,
        _REGION,
        _LEVEL,
        count("battles", "Battles on prompts of the region.", type=INT64, unit="battles"),
        count(
            "prompts",
            "Prompts of the region, near-duplicates counted once.",
            type=INT64,
            unit="prompts",
        ),
        count("models", "Models that fought there.", type=INT64, unit="models"),
        measure(
            "likelihood_ratio",
            "Likelihood ratio statistic of ratings fitted to the region against the overall "
            "ratings.",
        ),
        count("degrees_of_freedom", "Degrees of freedom of that statistic.", type=INT64),
        p_value(
            "p_independent",
            "p value of that statistic if all battles were independent; null if it has no degrees "
            "of freedom.",
            nullable=True,
        ),
        p_value(
            "p",
            "p value, by permutation of prompts, of wins not depending on whether a prompt lies in "
            "the region.",
        ),
        q_value("q", "Benjamini-Hochberg q value of `p` over the regions of the level."),
        measure(
            "spread",
            "Standard deviation of regional about overall ratings, estimated for the level.",
            unit="Elo points",
            range=NON_NEGATIVE,
        ),
    ),
    kept_by=KeptBy.BATTLE_SET,
    made_from=_BY_REGION,
)

REGIONAL_RATINGS = Table(
    "regional_ratings",
    "one model in one region or subject of the prompts, by one kind of judge",
    ("judge_kind", "level", "region_id", "model"),
    (
        _KIND,
        _REGION,
        _LEVEL,
        _MODEL,
        count("battles", "Battles that the model fought there.", type=INT64, unit="battles"),
        count("prompts", "Prompts that it fought on there.", type=INT64, unit="prompts"),
        share("win_rate", "Share of the battles that it won, a tie being half a win."),
        share("low", "Lower end of the 95 % interval of `win_rate`, clustered by prompt."),
        share("high", "Upper end of the 95 % interval of `win_rate`, clustered by prompt."),
        share(
            "expected",
            "Win rate that the overall ratings expect against the same opponents.",
        ),
        measure(
            "rating",
            "Rating in the region, shrunk toward the overall rating.",
            unit="Elo points",
        ),
        measure("shift", "Rating in the region less the overall rating.", unit="Elo points"),
        measure(
            "standard_error",
            "Standard error of `shift`.",
            unit="Elo points",
            range=NON_NEGATIVE,
        ),
        measure(
            "z",
            "Standard score of winning more or less than expected, over permutations of prompts.",
            unit="standard deviations",
        ),
        p_value("p", "p value of `z`, two-sided; it is conservative where prompts are few."),
        q_value("q", "Benjamini-Hochberg q value of `p` over the rows of the level."),
    ),
    kept_by=KeptBy.BATTLE_SET,
    made_from=_BY_REGION,
)
