import json
import zipfile

import numpy as np
import pytest

from errclust_pipeline.analysis.selection import answer_codes, suspected_faults

MODELS, QUESTIONS, OPTIONS = 8, 2000, 5


def simulated(faults, seed=0, abilities=None):
    """Answers of models to questions some of whose keys are wrong; mistakes are independent."""
    generator = np.random.default_rng(seed)
    ability = np.linspace(-0.5, 2, MODELS) if abilities is None else np.asarray(abilities)
    difficulty = generator.normal(size=QUESTIONS)
    right = generator.random((len(ability), QUESTIONS)) < 1 / (
        1 + np.exp(difficulty - ability[:, None])
    )
    chosen = np.where(right, 0, generator.integers(1, OPTIONS, right.shape))
    key = np.zeros(QUESTIONS, int)
    wrong = generator.choice(QUESTIONS, faults, replace=False)
    key[wrong] = generator.integers(1, OPTIONS, faults)
    codes = answer_codes((chosen == key).astype(float), chosen.tolist())
    planted = np.zeros(QUESTIONS, bool)
    planted[wrong] = True
    return codes, planted


def precision_at_recall(probability, planted, recall):
    order = np.argsort(-probability, kind="stable")
    found = np.cumsum(planted[order])
    reviewed = int(np.searchsorted(found, recall * planted.sum())) + 1
    return found[reviewed - 1] / reviewed


def test_planted_wrong_keys_are_found_where_mistakes_are_independent():
    for seed in range(3):
        codes, planted = simulated(40, seed)
        found = suspected_faults(codes, np.full(QUESTIONS, float(OPTIONS)))
        assert precision_at_recall(found.probability, planted, 0.5) >= 0.9
        order = found.review_order()
        assert planted[order].mean() >= 0.7
        assert (np.diff(found.probability[order]) <= 0).all()


def test_where_all_keys_are_right_hardly_any_is_suspected():
    codes, _ = simulated(0)
    found = suspected_faults(codes, np.full(QUESTIONS, float(OPTIONS)))
    assert len(found.review_order()) <= 0.005 * QUESTIONS


def test_shared_mistakes_are_no_proof():
    codes, planted = simulated(0)
    popular = codes.copy()
    # Every second question has a favourite wrong answer, which all who err choose.
    popular[:, ::2] = np.where(popular[:, ::2] > 0, 1, popular[:, ::2])
    naive = ((popular == 1).sum(axis=0) >= 6) & ~planted
    found = suspected_faults(popular, np.full(QUESTIONS, float(OPTIONS)))
    assert len(found.review_order()) < naive.sum() / 2


def test_agreement_of_able_models_says_more():
    codes = np.zeros((8, 400), dtype=int)
    generator = np.random.default_rng(0)
    for model in range(8):
        share = 0.05 if model < 4 else 0.7
        wrong = generator.random(400) < share
        codes[model, wrong] = generator.integers(1, 5, wrong.sum())
    codes[:, 0] = [1, 1, 1, 1, 0, 2, 3, 4]
    codes[:, 1] = [0, 2, 3, 4, 1, 1, 1, 1]
    found = suspected_faults(codes, np.full(400, 5.0))
    assert found.probability[0] > 0.9 > 0.1 > found.probability[1]
    assert (found.other_answer[0], found.agreeing[0], found.wrong[0]) == (1, 4, 7)


def test_few_models_accuse_nobody():
    codes = np.ones((3, 10), dtype=int)
    assert (suspected_faults(codes, np.full(10, 4.0)).probability == 0).all()
    unasked = np.vstack([np.ones((3, 10), dtype=int), np.full((5, 10), -2)])
    assert (suspected_faults(unasked, np.full(10, 4.0)).probability == 0).all()


def test_answers_are_numbered_and_the_keys_is_zero():
    correct = [[1, 0, 0, np.nan], [0, 0, 1, 1], [0, 0, 0, 0]]
    answers = [["7", None, "x", None], ["8", "b", "gold", "gold"], ["8", "c", "y", "z"]]
    assert answer_codes(correct, answers).tolist() == [
        [0, -1, 1, -2],
        [1, 1, 0, 0],
        [1, 2, 2, 1],
    ]


def test_everyone_right_and_nobody_asked_are_borne():
    assert (suspected_faults(np.zeros((5, 4), int), np.full(4, np.nan)).probability < 0.1).all()
    assert len(suspected_faults(np.zeros((5, 0), int), np.zeros(0)).probability) == 0


def test_shapes_and_prior_are_checked():
    with pytest.raises(ValueError, match="options"):
        suspected_faults(np.zeros((5, 4), int), np.zeros(3))
    with pytest.raises(ValueError, match="prior"):
        suspected_faults(np.zeros((5, 4), int), np.zeros(4), prior=1)


def planted_in_mmlu_pro(folder):
    """How suspect each question is after 2 % of the keys were made wrong, and which those are."""
    chosen, key, options = real_answers(folder)
    generator = np.random.default_rng(0)
    planted = np.zeros(len(key), bool)
    planted[generator.choice(len(key), len(key) // 50, replace=False)] = True
    shifted = key + 1 + generator.integers(0, 1000, len(key)) % (options.astype(int) - 1)
    wrong_key = np.where(planted, shifted % options.astype(int), key)
    found = suspected_faults(answer_codes(*scored(chosen, wrong_key)), options)
    return found.probability, planted


@pytest.mark.slow
def test_wrong_keys_in_mmlu_pro_are_found_several_times_as_often_as_by_chance(real_mmlu_pro):
    probability, planted = planted_in_mmlu_pro(real_mmlu_pro)
    assert precision_at_recall(probability, planted, 0.5) > 5 * planted.mean()
    assert precision_at_recall(probability, planted, 0.3) > 7 * planted.mean()


@pytest.mark.slow
@pytest.mark.xfail(
    strict=True,
    reason="Measured: .16. Answers of 8 models do not tell the planted keys from what they agree "
    "on anyway, mostly popular mistakes and questions with two defensible answers; nor does a "
    "classifier trained on planted keys (.18).",
)
def test_wrong_keys_in_mmlu_pro_are_found_with_a_precision_of_70_percent(real_mmlu_pro):
    probability, planted = planted_in_mmlu_pro(real_mmlu_pro)
    assert precision_at_recall(probability, planted, 0.5) >= 0.7


def real_answers(folder):
    """The options that the models chose, shape (models, n), -1 for none, -2 not asked; the keys."""
    models, questions = [], {}
    for path in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            rows = json.loads(archive.read(archive.namelist()[0]))
        models.append({row["question_id"]: row for row in rows if isinstance(row, dict)})
        questions |= models[-1]
    names = sorted(questions)
    chosen = np.full((len(models), len(names)), -2)
    for number, own in enumerate(models):
        for position, name in enumerate(names):
            if name in own:
                chosen[number, position] = "ABCDEFGHIJ".find(own[name]["pred"] or "none")
    key = np.array([questions[name]["answer_index"] for name in names])
    options = np.array([float(len(questions[name]["options"])) for name in names])
    return chosen, key, options


def scored(chosen, key):
    correct = np.where(chosen == -2, np.nan, (chosen == key).astype(float))
    return correct, np.where(chosen < 0, None, chosen.astype(object)).tolist()
