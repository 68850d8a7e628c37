"""How many of lm-evaluation-harness's own task templates are read right?

Takes the task templates of an installed lm-eval (those whose text, choices and target are
templates, at most a few of each family), makes documents up for them, lets the harness itself
render the prompts (0-shot, few-shot, with a chat template as text, as messages) and write its
samples files, reads these with this project's reader, and compares what was read with what the
harness rendered. A template is read right if

- every row is read,
- there are as many questions as documents that differ in what the prompt shows,
- every value of the document that its own part of the prompt shows is in the question or options,
- neither the target nor a worked example is in the question,
- each document has the same identity however many examples the prompt shows, with or without a
  chat template.

Half of the families, drawn at random, were looked at while the reader was written; the others were
not. Both shares are printed. Nothing of the harness's is kept.

The harness runs under an interpreter of its own::

    python benchmarks/lm_eval_catalogue.py --lm-eval-python /path/to/lm-eval-venv/bin/python
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MODES = ("0-shot", "few-shot", "few-shot, chat as text", "0-shot, chat as text", "turns")
SHOTS = 3
_TEXT_KEYS = ("doc_to_text", "doc_to_target", "doc_to_choice")
_ATTEMPTS = 400
_WORDS = re.findall(
    r"\w+",
    "amber basin candle delta ember falcon garden harbor island jacket kettle lantern meadow "
    "needle orchard pebble quarry ribbon saddle timber umbrella valley walnut yellow zephyr "
    "anchor bottle copper dragon engine forest glacier hammer insect jungle kitchen ladder "
    "marble nectar oyster pepper quartz rocket silver tunnel velvet window yogurt zipper "
    "arrow bridge castle doctor eagle farmer guitar hotel iron judge knife lemon mirror nurse "
    "ocean pilot queen river teacher visits carries follows finds builds paints sees moves "
    "keeps leaves slowly often never always under over beside within large small green quiet "
    "early late some many few ",
)


def main() -> None:
    """Print the share of templates that are read right, and what is wrong with the others."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lm-eval-python", type=Path, help="an interpreter that has lm-eval")
    parser.add_argument("--per-family", type=int, default=6, help="templates of a family at most")
    parser.add_argument("--documents", type=int, default=24, help="documents of a template")
    parser.add_argument("--random-state", type=int, default=0, help="of documents and templates")
    parser.add_argument("--half", choices=("both", "seen", "held out"), default="both")
    parser.add_argument("--folder", type=Path, help="keep the files written, or read them again")
    parser.add_argument("--only-families", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--show", type=int, default=20, help="templates shown that are read wrong")
    arguments = parser.parse_args()
    if arguments.write:
        write_catalogue(arguments)
        return
    with contextlib.ExitStack() as stack:
        folder = arguments.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not (folder / "written").exists():
            if arguments.lm_eval_python is None:
                parser.error("give --lm-eval-python: an interpreter that has lm-eval")
            command = [
                str(arguments.lm_eval_python), __file__, "--write", str(folder),
                "--per-family", str(arguments.per_family),
                "--documents", str(arguments.documents),
                "--random-state", str(arguments.random_state),
            ]  # fmt: skip
            environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
            subprocess.run(command, check=True, env=environment)
        report(folder, arguments)


# ---- Under the interpreter that has lm-eval ------------------------------------------------------


def write_catalogue(arguments: argparse.Namespace) -> None:
    """Write samples files and what the harness rendered, of every template."""
    import logging

    logging.disable(logging.CRITICAL)
    folder: Path = arguments.write
    counts: Counter[str] = Counter()
    only = arguments.only_families and set(arguments.only_families.read_text().split())
    for name, family, config in templates(arguments.per_family, arguments.random_state):
        if only and family not in only:
            continue
        rng = random.Random(f"{arguments.random_state} {name}")
        task = task_with_documents(config, rng, arguments.documents)
        if task is None:
            counts["no documents could be made up"] += 1
            continue
        try:
            write_template(folder / name, name, family, task, rng)
        except Exception as error:  # The harness's own limits, e.g. a context that is no text.
            counts[f"the harness raised {type(error).__name__}"] += 1
            continue
        counts["written"] += 1
    (folder / "written").write_text(json.dumps(counts))


def templates(per_family: int, random_state: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield name, family and configuration of distinct templates, some of each family."""
    from lm_eval import tasks as package
    from lm_eval.tasks._yaml_loader import load_yaml

    root = Path(package.__file__).parent
    families: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for path in sorted([*root.rglob("*.yaml"), *root.rglob("_*yaml")]):
        try:
            config = load_yaml(path, resolve_func=False)
        except Exception:
            continue
        if "task" not in config or not is_template(config, root):
            continue
        key = json.dumps([config.get(key) for key in (*_TEXT_KEYS, "output_type")], default=str)
        families[path.relative_to(root).parts[0]].setdefault(key, config)
    for family, configs in sorted(families.items()):
        keys = sorted(configs)
        random.Random(f"{random_state} {family}").shuffle(keys)
        for number, key in enumerate(keys[:per_family]):
            yield f"{family}-{number}", family, configs[key]


def is_template(config: Mapping[str, Any], root: Path) -> bool:
    """Whether text, choices and target are templates, and no function is called for them."""
    if config.get("use_prompt") or "doc_to_text" not in config or "doc_to_target" not in config:
        return False
    values = [config.get(key) for key in (*_TEXT_KEYS, "description", "gen_prefix")]
    return not any(isinstance(value, str) and value.startswith(str(root)) for value in values)


def task_with_documents(config: Mapping[str, Any], rng: random.Random, count: int) -> Any:
    """Make documents up that the templates accept; return the harness's task; None if none do."""
    names = variables(config)
    if not names:
        return None
    for attempt in range(_ATTEMPTS):
        kinds = {name: kind_of(name, config, rng, attempt) for name in names}
        makers = {name: maker_of(kind, rng) for name, kind in kinds.items()}
        documents = [{name: make() for name, make in makers.items()} for _ in range(count)]
        shots = [{name: make() for name, make in makers.items()} for _ in range(20)]
        try:
            return harness_task(config, documents, shots)
        except Exception:
            continue
    return None


def harness_task(config: Mapping[str, Any], documents: list[Any], shots: list[Any]) -> Any:
    """Return the harness's task on documents; raises if the templates do not accept them."""
    from datasets import Dataset, DatasetDict
    from lm_eval.api.task import ConfigurableTask

    output_type = config.get("output_type", "generate_until")
    metrics = {
        "multiple_choice": ["acc", "acc_norm"],
        "generate_until": ["exact_match"],
        "loglikelihood": ["perplexity", "acc"],
        "loglikelihood_rolling": ["word_perplexity", "byte_perplexity"],
    }[output_type]
    data = DatasetDict({"test": Dataset.from_list(documents), "train": Dataset.from_list(shots)})
    kept = (*_TEXT_KEYS, "description", "target_delimiter", "fewshot_delimiter", "gen_prefix")
    task = ConfigurableTask(
        config={
            **{key: config[key] for key in kept if config.get(key) is not None},
            "task": str(config["task"]),
            "output_type": output_type,
            "custom_dataset": lambda **_: data,
            "test_split": "test",
            "fewshot_split": "train",
            "metric_list": [
                {"metric": name, "aggregation": "mean", "higher_is_better": True}
                for name in metrics
            ],
        }
    )
    whole = " ".join(str(config.get(key)) for key in _TEXT_KEYS)
    for document in task.eval_docs:
        check_document(task, document)
        for name, value in document.items():
            if isinstance(value, str) and re.search(rf"\b{re.escape(name)}\s*\[\d", whole):
                raise ValueError("characters of a text would be options")
    return task


def check_document(task: Any, document: Any) -> None:
    """Raise unless a document's text, options and target are what a real one's would be."""
    text, target = task.doc_to_text(document), task.doc_to_target(document)
    if task.OUTPUT_TYPE == "multiple_choice":
        choices = task.doc_to_choice(document)
        if len(set(choices)) < max(2, len(choices)) or not all(
            isinstance(choice, str) and choice for choice in choices
        ):
            raise ValueError("no options")
        gold = text if task.multiple_input else target
        gold = gold[0] if isinstance(gold, list) else gold
        if isinstance(gold, str):
            gold = choices.index(gold)
        if not 0 <= gold < len(choices):
            raise ValueError("no such option")
        if any(choice.startswith(("[", "{")) for choice in choices):
            raise ValueError("an option is a list")
    elif not isinstance(text, str) or not str(target).strip():
        raise ValueError("no text, or no target")
    elif "doc_to_choice" not in task.config and isinstance(target, int):
        raise ValueError("a number where a text is expected")
    if isinstance(text, str) and re.search(r"\[['\"]|\{['\"]", text):
        raise ValueError("a list is shown as it is")


def variables(config: Mapping[str, Any]) -> dict[str, None]:
    """Return the names of the document's fields that the templates use."""
    from jinja2 import meta
    from lm_eval.utils import env

    names: dict[str, None] = {}
    for key in (*_TEXT_KEYS, "description", "gen_prefix"):
        value = config.get(key)
        for text in value if isinstance(value, list) else [value]:
            if not isinstance(text, str):
                continue
            if key in _TEXT_KEYS and text.isidentifier():
                names[text] = None
                continue
            with contextlib.suppress(Exception):
                found = meta.find_undeclared_variables(env.parse(text))
                names |= dict.fromkeys(sorted(found, key=text.find))
    return names


def kind_of(name: str, config: Mapping[str, Any], rng: random.Random, attempt: int) -> Any:
    """Guess what a field holds: from how the templates use it, later at random."""
    whole = " ".join(str(config.get(key)) for key in _TEXT_KEYS)
    word = re.escape(name)
    inner = re.search(rf"\b{word}(?:\.(?!strip|split|lower|replace|index|upper|title|find|join|"
                      rf"format|items|get|rstrip|lstrip|capitalize|startswith|endswith|count)"
                      rf"(\w+)|\[['\"](\w+)['\"]\])", whole)  # fmt: skip
    guesses: list[Any] = []
    if inner:
        keys = {
            match[0] or match[1]
            for match in re.findall(rf"\b{word}(?:\.(\w+)|\[['\"](\w+)['\"]\])", whole)
        }
        guesses.append(
            {
                key: "texts"
                if re.search(rf"{word}(?:\.{key}|\[['\"]{key}['\"]\])\s*(?:\[\d|\||\.index)", whole)
                else rng.choice(
                    ("texts", "sentence", "labels", "index")
                    if config.get("doc_to_choice")
                    else ("sentence", "sentence", "passage", "phrase")
                )
                for key in sorted(keys)
            }
        )
    if re.search(rf"\b{word}\[\d|in {word}\b|{word}\s*\|\s*(join|length)|{word}\.index", whole):
        guesses += ["texts", "texts"]
    if config.get("doc_to_choice") in (name, f"{{{{{name}}}}}"):
        guesses += ["texts", "texts"]
    is_target = name in str(config.get("doc_to_target"))
    if is_target and config.get("output_type") == "multiple_choice":
        constants = re.findall(r"['\"]([^'\"]+)['\"]", str(config.get("doc_to_target")))
        guesses += ["index", "letter", ("one of", tuple(constants))] if constants else ["index"]
    if re.search(rf"\[{word}\]|\[{word}\s*[|+-]|{word}\s*[+-]\s*1|{word}\|int", whole):
        guesses += ["index", "digit"]
    if not guesses or attempt > 100:
        guesses += ["text"] * 4
    if attempt > 200:
        guesses += ["index", "letter", "digit", "texts", "flag", "objects", "float"]
    return rng.choice(guesses)


def maker_of(kind: Any, rng: random.Random) -> Callable[[], Any]:
    """Return a function that makes values of a kind up."""
    if isinstance(kind, dict):
        inner = {name: maker_of(part, rng) for name, part in kind.items()}
        return lambda: {name: make() for name, make in inner.items()}
    if isinstance(kind, tuple):
        return lambda: rng.choice(kind[1])
    if kind == "text":
        kind = rng.choice(("sentence", "sentence", "sentence", "passage", "phrase", "few passages"))
    if kind == "few passages":
        pool = [passage(rng) for _ in range(5)]
        return lambda: rng.choice(pool)
    size = rng.choice((4, 4, 5))
    made: Mapping[str, Callable[[], Any]] = {
        "sentence": lambda: sentence(rng),
        "passage": lambda: passage(rng),
        "phrase": lambda: " ".join(rng.sample(_WORDS, rng.randint(1, 3))),
        "texts": lambda: [" ".join(part) for part in distinct(rng, size)],
        "labels": lambda: list("ABCDE"[:size]),
        "index": lambda: rng.randrange(2 if size == 4 else 4),
        "digit": lambda: str(rng.randrange(2) + (size == 5)),
        "letter": lambda: rng.choice("AB" if size == 4 else "ABCD"),
        "flag": lambda: rng.random() < 0.5,
        "float": lambda: round(rng.random(), 2),
        "objects": lambda: [{"text": sentence(rng), "speaker": "A"} for _ in range(3)],
    }
    return made[kind]


def distinct(rng: random.Random, count: int) -> list[list[str]]:
    """Return phrases without a common word."""
    words = rng.sample(_WORDS, 3 * count)
    return [words[3 * number : 3 * number + rng.randint(1, 3)] for number in range(count)]


def sentence(rng: random.Random) -> str:
    """Return words that look like a sentence."""
    words = rng.choices(_WORDS, k=rng.randint(5, 14))
    return " ".join(words).capitalize() + rng.choice((".", "?", ".", ""))


def passage(rng: random.Random) -> str:
    """Return several sentences, now and then in two paragraphs."""
    between = rng.choice((" ", " ", "\n\n"))
    return between.join(sentence(rng) for _ in range(rng.randint(2, 5)))


def write_template(folder: Path, name: str, family: str, task: Any, rng: random.Random) -> None:
    """Write a template's samples in every mode, and what the harness rendered of each document."""
    from lm_eval.api.utils import maybe_delimit  # noqa: F401  # The harness is at hand.

    shown = []
    for document in task.eval_docs:
        text = task.doc_to_text(document)
        has_choices = task.OUTPUT_TYPE == "multiple_choice"
        shown.append(
            {
                "text": "" if task.multiple_input else text,
                "prefix": task.doc_to_prefix(document) or "",
                "choices": task.doc_to_choice(document) if has_choices else None,
                "target": task.doc_to_target(document),
                "multiple_input": bool(task.multiple_input),
            }
        )
    for mode in MODES:
        write_samples(folder / mode, task, mode, rng)
    shots = [text for doc in task.fewshot_docs() for text in texts_in(doc)]
    truth = {
        "name": name,
        "family": family,
        "output_type": task.OUTPUT_TYPE,
        "shown": shown,
        "documents": [dict(document) for document in task.eval_docs],
        "shots": shots,
        "template": {key: task.config[key] for key in _TEXT_KEYS},
    }
    (folder / "truth.json").write_text(json.dumps(truth, default=str))


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts inside a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from texts_in(part)


def write_samples(folder: Path, task: Any, mode: str, rng: random.Random) -> None:
    """Render prompts and write rows as the harness does."""
    from lm_eval.loggers import EvaluationTracker

    shots = 0 if mode.startswith("0-shot") else SHOTS
    is_chat = "chat" in mode or mode == "turns"
    template = chat_as_json if mode == "turns" else chat_as_text
    task.sampler.rnd = random.Random(1)
    samples = []
    for number, document in enumerate(task.eval_docs):
        context = task.fewshot_context(
            document,
            num_fewshot=shots,
            system_instruction="You are a helpful assistant." if mode == "turns" else None,
            apply_chat_template=is_chat,
            fewshot_as_multiturn=mode == "turns",
            chat_template=template if is_chat else None,
            gen_prefix=task.doc_to_prefix(document),
        )
        requests = task.construct_requests(
            doc=document,
            ctx=context,
            metadata=(task.config.task, number, 1),
            apply_chat_template=is_chat,
            chat_template=template if is_chat else None,
        )
        requests = requests if isinstance(requests, list) else [requests]
        answers = [answer(task, rng) for _ in requests]
        target = task.doc_to_target(document)
        samples.append(
            {
                "doc_id": number,
                "doc": document,
                "target": target,
                "arguments": [request.args for request in requests],
                "resps": [[one] for one in answers],
                "filtered_resps": answers,
                "filter": "none",
                "metrics": [],
                "doc_hash": f"{number:064d}",
                "prompt_hash": "0" * 64,
                "target_hash": "0" * 64,
            }
            | task.process_results(document, answers)
        )
        row = samples[-1]
        row["metrics"] = [key for key in row if key in task._metric_fn_list]
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.model_name = "made-up/model"
    tracker.general_config_tracker.model_name_sanitized = "made-up__model"
    results = {
        "results": {},
        "configs": {"task": task.dump_config()},
        "n-shot": {"task": shots},
        "config": {"model": "hf", "model_args": "pretrained=made-up/model"},
    }
    tracker.save_results_aggregated(results=results, samples={})
    tracker.save_results_samples(task_name="task", samples=samples)


def answer(task: Any, rng: random.Random) -> Any:
    """Make a model's answer up."""
    if task.OUTPUT_TYPE == "generate_until":
        return f"I say {rng.choice(_WORDS)}"
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        return -rng.random() * 100
    return (-rng.random() * 100, rng.random() < 0.5)


def chat_as_text(messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    """Render messages as ChatML."""
    turns = [f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages]
    if messages[-1]["role"] == "assistant":
        turns[-1] = turns[-1].removesuffix("<|im_end|>\n")
    return "".join(turns) + "<|im_start|>assistant\n" * add_generation_prompt


def chat_as_json(messages: list[dict[str, str]], **_: Any) -> str:
    """Render messages as the harness's API models do."""
    return json.dumps(messages, ensure_ascii=False)


# ---- Under this project's interpreter ------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """A template, and what is wrong with how it is read."""

    name: str
    family: str
    problems: tuple[str, ...]
    said: bool
    template: str


def report(folder: Path, arguments: argparse.Namespace) -> None:
    """Read all templates and print the shares."""
    paths = sorted(folder.glob("*/truth.json"))
    truths = [json.loads(path.read_text()) for path in paths]
    families = sorted({truth["family"] for truth in truths})
    random.Random(20260101).shuffle(families)
    seen = set(families[: len(families) // 2])
    results = []
    rolling_said = 0
    rolling = [truth["name"] for truth in truths if truth["output_type"] == "loglikelihood_rolling"]
    for path, truth in zip(paths, truths, strict=True):
        half = "seen" if truth["family"] in seen else "held out"
        if truth["name"] in rolling:
            rolling_said += says_why(path.parent)
            continue
        if arguments.half in ("both", half):
            results.append((half, check_template(path.parent, truth)))
    print(json.loads((folder / "written").read_text()))
    for half in ("seen", "held out"):
        ours = [result for which, result in results if which == half]
        if ours:
            right = sum(not result.problems for result in ours)
            said = sum(bool(result.problems) and result.said for result in ours)
            count = len({result.family for result in ours})
            print(
                f"families {half}: {right} of {len(ours)} templates ({count} families) are read "
                f"right, {right / len(ours):.3f}; of the others the reader says so of {said}"
            )
    print(
        f"perplexity has no right and wrong, which the reader says of {rolling_said} of "
        f"{len(rolling)} templates"
    )
    wrong = [result for _, result in results if result.problems]
    kinds = Counter(problem.partition(":")[0] for result in wrong for problem in result.problems)
    print("what is wrong:", dict(kinds.most_common()))
    shown = [
        result
        for half, result in results
        if result.problems and (half == "seen" or arguments.half == "held out")
    ]
    for result in shown[: arguments.show]:
        print(f"- {result.name} ({'said' if result.said else 'not said'}): {result.template}")
        for problem in result.problems[:4]:
            print("   ", problem[:400])


def check_template(folder: Path, truth: Mapping[str, Any]) -> Result:
    """Compare what is read of a template with what the harness rendered."""
    from errclust_pipeline.sources import find_submissions
    from errclust_pipeline_tests.sources.reading import Read

    problems: list[str] = []
    said = False
    identities: dict[str, list[str]] = {}
    for mode in MODES:
        try:
            [submission] = find_submissions(folder / mode)
            said = said or any("question" in note for note in submission.notes)
            rows = Read(submission).rows
        except Exception as error:
            problems.append(f"rows: {mode}: {type(error).__name__}: {error}")
            continue
        if len(rows) != len(truth["documents"]):
            problems.append(f"rows: {mode}: {len(rows)} of {len(truth['documents'])}")
            continue
        identities[mode] = [row["question_id"] for row in rows]
        problems += [f"{problem} [{mode}]" for problem in wrong_in(rows, truth)]
    for mode, ids in identities.items():
        first = next(iter(identities.values()))
        if ids != first:
            share = sum(a != b for a, b in zip(ids, first, strict=True)) / len(ids)
            problems.append(f"identity: other ids in {mode} of {share:.0%} of rows")
    template = json.dumps(truth["template"], ensure_ascii=False)
    return Result(truth["name"], truth["family"], tuple(problems), said, template)


def says_why(folder: Path) -> bool:
    """Whether the reader refuses a perplexity run because it has no right and wrong."""
    from errclust_pipeline.sources import SourceError, find_submissions

    try:
        find_submissions(folder / MODES[0])
    except SourceError as error:
        return "right" in str(error)
    return False


def wrong_in(rows: list[dict[str, Any]], truth: Mapping[str, Any]) -> list[str]:
    """Say what is wrong in one mode: questions merged, values missing, gold or shots inside."""
    problems = []
    shown = truth["shown"]
    if shown[0]["multiple_input"]:
        distinct_items = {json.dumps(one["choices"]) for one in shown}
    else:
        distinct_items = {json.dumps([one["text"], one["prefix"], one["choices"]]) for one in shown}
    questions = {row["question_id"] for row in rows}
    if len(questions) != len(distinct_items):
        problems.append(f"merged: {len(questions)} questions of {len(distinct_items)} documents")
    shots = {text for text in truth["shots"] if len(text) > 15}
    for row, rendered, document in zip(rows, shown, truth["documents"], strict=True):
        question = squeezed(row["question"])
        read = squeezed(" | ".join([row["question"], *(row["choices"] or ())]))
        own = squeezed(
            " | ".join([rendered["text"], rendered["prefix"], *map(str, rendered["choices"] or ())])
        )
        for value in map(squeezed, values_in(document)):
            if holds(squeezed(rendered["text"]), value) and not holds(read, value):
                problems.append(f"missing: {value!r} is not in {row['question']!r}")
                return problems
        gold = squeezed(str(rendered["target"]))
        if len(gold) > 3 and not holds(own, gold) and holds(question, gold):
            problems.append(f"gold: {gold!r} in {row['question']!r}")
            return problems
        for text in map(squeezed, shots):
            if text in read and text not in own:
                problems.append(f"shots: {text!r} in {row['question']!r}")
                return problems
    return problems


def values_in(value: Any) -> Iterator[str]:
    """Yield the values inside a document, as text."""
    if isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from values_in(part)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def holds(text: str, value: str) -> bool:
    """Whether a value stands in a text as whole words; single characters say nothing."""
    if len(value) < 3:
        return False
    return re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text) is not None


def squeezed(text: str) -> str:
    """Return a text with single blanks."""
    return " ".join(text.split())


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()
