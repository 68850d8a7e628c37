"""A language model behind any OpenAI-compatible endpoint, with a store, retries and a budget."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
import pydantic

from errclust_pipeline.analysis.language import (
    CHARACTERS_A_TOKEN,
    AskFailure,
    FailureKind,
    Prompt,
)
from errclust_pipeline.resources.answer_store import AnswerStore, StoredAnswer
from errclust_pipeline.resources.storage import Storage
from errclust_pipeline.settings import LanguageModelSettings, load_settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 60.0
_FAILURES_BEFORE_GIVING_UP = 3
_TOO_LONG = ("context length", "context_length", "context size", "too long", "maximum context")

Answer = pydantic.BaseModel | AskFailure


class LanguageModelError(RuntimeError):
    """The endpoint cannot be used as it is configured; the message says what to change."""


class LanguageModelUnavailableError(ConnectionError):
    """The endpoint does not answer at present; what it has answered is kept."""


@dataclass
class Usage:
    """What asking took."""

    prompts: int = 0
    calls: int = 0
    from_store: int = 0
    repaired: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    longest_seconds: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)

    def to_metadata(self) -> dict[str, Any]:
        """Return it as Dagster metadata."""
        values = {
            f"language_model/{name}": value for name, value in dataclasses.asdict(self).items()
        }
        return values | {"language_model/failures": dict(self.failures)}


@dataclass(frozen=True)
class Quote:
    """What asking would take at most, before anything is asked."""

    prompts: int
    from_store: int
    prompt_tokens: int
    answer_tokens: int
    cost: float | None

    def __str__(self) -> str:
        """Say it in a sentence."""
        new = self.prompts - self.from_store
        tokens = f"{self.prompt_tokens:,} + {self.answer_tokens:,} tokens at most"
        cost = "" if self.cost is None else f", {self.cost:.2f} at most"
        return f"{new:,} calls, {tokens}{cost}; {self.from_store:,} answers are stored already"


class LanguageModel:
    """Asks a chat model for structured answers.

    Parameters
    ----------
    settings : LanguageModelSettings
        Those of a configured model.
    storage : Storage
        Where answers are kept.
    log : callable, optional
        Told of progress and trouble, a line at a time.

    Attributes
    ----------
    usage : Usage
        What was taken by all calls of `ask` so far; the budget holds for it.
    """

    def __init__(
        self,
        settings: LanguageModelSettings,
        storage: Storage,
        log: Callable[[str], object] = lambda _: None,
    ) -> None:
        if settings.model is None:
            raise LanguageModelError(
                "no language model is configured: set model in [language_model]"
            )
        self.settings = settings
        self.name = settings.model
        self.usage = Usage()
        self._store = AnswerStore(storage, settings.model)
        self._log = log
        self._reserved_tokens = 0
        self._dialect = _Dialect()

    def quote(self, prompts: Sequence[Prompt]) -> Quote:
        """Return what asking these would take at most, repairs aside, without asking."""
        missing = [one for one in prompts if self._store.find(self._key(one)) is None]
        prompt_tokens = sum(map(_estimated_tokens, missing))
        answer_tokens = sum(one.answer_tokens for one in missing)
        return Quote(
            len(prompts),
            len(prompts) - len(missing),
            prompt_tokens,
            answer_tokens,
            self.settings.cost(prompt_tokens, answer_tokens),
        )

    def totals(self) -> dict[str, float | int | None]:
        """Return what all answers that are stored have taken, over all runs and partitions."""
        stored = list(self._store.all())
        prompt_tokens = sum(one.prompt_tokens for one in stored)
        answer_tokens = sum(one.answer_tokens for one in stored)
        seconds = [one.seconds for one in stored]
        return {
            "answers": len(stored),
            "unusable": sum(one.problem is not None for one in stored),
            "prompt_tokens": prompt_tokens,
            "answer_tokens": answer_tokens,
            "cost": self.settings.cost(prompt_tokens, answer_tokens),
            "mean_seconds": sum(seconds) / len(seconds) if seconds else None,
            "longest_seconds": max(seconds, default=None),
        }

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """Ask for answers: from the store, else from the endpoint, several at a time.

        An answer that is not of the form asked for is sent back once with what is wrong with it.
        What is answered is stored at once.

        Parameters
        ----------
        prompts : sequence of Prompt

        Returns
        -------
        list
            An answer or a failure for each prompt, in the same order.

        Raises
        ------
        LanguageModelError
            If the endpoint refuses the key, does not know the model, or is no chat endpoint.
        LanguageModelUnavailableError
            If it does not answer, however often it is tried.
        """
        if not prompts:
            return []
        started = time.monotonic()
        before = dataclasses.replace(self.usage)
        answers = asyncio.run(self._ask_all(prompts))
        self.usage.prompts += len(prompts)
        self.usage.seconds += time.monotonic() - started
        self.usage.failures.update(one.kind.value for one in answers if isinstance(one, AskFailure))
        self._log(
            f"{self.usage.calls - before.calls:,} calls to {self.name} in "
            f"{time.monotonic() - started:.1f} s, {self.usage.from_store - before.from_store:,} "
            "answers from the store"
        )
        return answers

    async def _ask_all(self, prompts: Sequence[Prompt]) -> list[Answer]:
        import openai

        client = openai.AsyncOpenAI(
            base_url=self.settings.base_url,
            # A local server needs none, but the client insists.
            api_key=self.settings.key() or "none",
            max_retries=0,
            timeout=self.settings.seconds_to_answer,
        )
        gate = asyncio.Semaphore(self.settings.calls_at_once)
        unreachable = 0

        async def one(prompt: Prompt) -> Answer:
            nonlocal unreachable
            async with gate:
                if unreachable >= _FAILURES_BEFORE_GIVING_UP:
                    raise LanguageModelUnavailableError(
                        f"{self.settings.address} does not answer: it was tried "
                        f"{self.settings.tries} times for each of {unreachable} prompts in a row. "
                        "What it has answered is kept; run again when it is back"
                    )
                answer = await self._ask_one(client, prompt)
                is_unreachable = (
                    isinstance(answer, AskFailure) and answer.kind is FailureKind.UNREACHABLE
                )
                unreachable = unreachable + 1 if is_unreachable else 0
                return answer

        async with client:
            tasks = [asyncio.ensure_future(one(prompt)) for prompt in prompts]
            try:
                answers = await asyncio.gather(*tasks)
            except BaseException:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                raise
        if len(prompts) <= unreachable:
            raise LanguageModelUnavailableError(
                f"{self.settings.address} does not answer, tried {self.settings.tries} times: "
                f"{next(one.reason for one in answers if isinstance(one, AskFailure))}"
            )
        return answers

    async def _ask_one(self, client: AsyncOpenAI, prompt: Prompt) -> Answer:
        key = self._key(prompt)
        stored = self._store.find(key)
        if stored is None:
            outcome = await self._answered(client, prompt)
            if isinstance(outcome, AskFailure):
                return outcome
            stored = outcome
            self._store.keep(key, stored)
        else:
            self.usage.from_store += 1
        if stored.problem is not None:
            return AskFailure(FailureKind.INVALID, stored.problem)
        try:
            return prompt.parse(stored.text)
        except pydantic.ValidationError as error:
            return AskFailure(FailureKind.INVALID, _problem(error))

    async def _answered(self, client: AsyncOpenAI, prompt: Prompt) -> StoredAnswer | AskFailure:
        """Return an answer, valid or not even after a repair, or why there is none."""
        messages = prompt.messages()
        prompt_tokens = answer_tokens = 0
        seconds, problem, text = 0.0, None, ""
        for attempt in range(2):
            outcome = await self._call(client, prompt, messages)
            if isinstance(outcome, AskFailure):
                if attempt and outcome.kind is FailureKind.OVER_BUDGET:
                    break
                return outcome
            text = outcome.text
            prompt_tokens += outcome.prompt_tokens
            answer_tokens += outcome.answer_tokens
            seconds += outcome.seconds
            try:
                prompt.parse(text)
            except pydantic.ValidationError as error:
                problem = _problem(error)
                if outcome.problem is not None:
                    problem = f"{outcome.problem}; {problem}"
                messages = [
                    *messages,
                    {"role": "assistant", "content": text[:4000] or "{}"},
                    {
                        "role": "user",
                        "content": f"That is not a valid answer: {problem}. Answer again, with "
                        "the corrected JSON object only.",
                    },
                ]
                continue
            self.usage.repaired += attempt
            problem = None
            break
        return StoredAnswer(text, problem, prompt_tokens, answer_tokens, seconds)

    async def _call(
        self, client: AsyncOpenAI, prompt: Prompt, messages: list[dict[str, str]]
    ) -> StoredAnswer | AskFailure:
        """Call the endpoint until it answers; its problem is set if the answer was cut off."""
        import openai

        tokens = sum(_tokens(one["content"]) for one in messages) + prompt.answer_tokens
        over = self._over_budget(tokens)
        if over:
            return AskFailure(FailureKind.OVER_BUDGET, over)
        self.usage.calls += 1
        self._reserved_tokens += tokens
        last = ""
        try:
            attempt = 0
            while attempt < self.settings.tries:
                started = time.monotonic()
                try:
                    # The client's own time-out is between two bytes: an answer that trickles in
                    # would never end.
                    async with asyncio.timeout(self.settings.seconds_to_answer):
                        completion = await client.chat.completions.create(
                            model=self.name,
                            messages=cast("Any", messages),
                            **self._dialect.options(prompt),
                        )
                    return self._received(completion, time.monotonic() - started)
                except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
                    raise LanguageModelError(
                        f"{self.settings.address} refuses the key: set "
                        f"{self.settings.key_variable} ({self._told(error)})"
                    ) from error
                except openai.NotFoundError as error:
                    raise LanguageModelError(
                        f"{self.settings.address} does not know model {self.name!r}, or is no "
                        f"chat endpoint (its URL mostly ends in /v1): {self._told(error)}"
                    ) from error
                except (openai.RateLimitError, openai.InternalServerError) as error:
                    last, wait = self._told(error), _retry_after(error.response.headers)
                except (openai.APIConnectionError, TimeoutError) as error:
                    last, wait = self._told(error), None
                except openai.APIStatusError as error:
                    if self._dialect.adapts_to(self._told(error)):
                        continue
                    told = self._told(error)
                    is_long = any(words in told.lower() for words in _TOO_LONG)
                    kind = FailureKind.TOO_LONG if is_long else FailureKind.REFUSED
                    return AskFailure(kind, told)
                except openai.APIError as error:
                    # What came back is not even an answer of a chat endpoint.
                    last, wait = self._told(error), None
                attempt += 1
                if attempt < self.settings.tries:
                    self.usage.retries += 1
                    await asyncio.sleep(_wait(attempt, wait))
            return AskFailure(FailureKind.UNREACHABLE, last)
        finally:
            self._reserved_tokens -= tokens

    def _received(self, completion: Any, seconds: float) -> StoredAnswer:
        choices = getattr(completion, "choices", None)
        if not choices:
            # E.g. a page of HTML with status 200, which the client hands over as text.
            raise LanguageModelError(
                f"{self.settings.address} answers with something else than a chat completion: is "
                "base_url right? It mostly ends in /v1"
            )
        text = choices[0].message.content or ""
        cut_off = choices[0].finish_reason == "length"
        taken = completion.usage
        prompt_tokens = getattr(taken, "prompt_tokens", 0) or 0
        answer_tokens = getattr(taken, "completion_tokens", 0) or _tokens(text)
        self.usage.prompt_tokens += prompt_tokens
        self.usage.answer_tokens += answer_tokens
        self.usage.cost += self.settings.cost(prompt_tokens, answer_tokens) or 0.0
        self.usage.longest_seconds = max(self.usage.longest_seconds, seconds)
        problem = "the answer was cut off at its longest length: be brief" if cut_off else None
        return StoredAnswer(text, problem, prompt_tokens, answer_tokens, seconds)

    def _told(self, error: BaseException) -> str:
        """Return an error's message, short, without the key: some endpoints repeat it."""
        if isinstance(error, TimeoutError):
            return "no answer in time"
        message = str(error).replace(self.settings.key() or "\0", "…")
        return " ".join(message.split())[:300] or type(error).__name__

    def _over_budget(self, tokens: int) -> str | None:
        """Say which limit a call of so many tokens at most would exceed; None if none."""
        limits, used = self.settings, self.usage
        spent = used.prompt_tokens + used.answer_tokens + self._reserved_tokens
        if limits.most_calls is not None and used.calls >= limits.most_calls:
            return f"the budget of {limits.most_calls:,} calls is spent"
        if limits.most_tokens is not None and spent + tokens > limits.most_tokens:
            return f"the budget of {limits.most_tokens:,} tokens is spent"
        dearest = max(limits.price_of_prompt or 0, limits.price_of_answer or 0) / 1e6
        if limits.most_cost is not None:
            to_come = (self._reserved_tokens + tokens) * dearest
            if used.cost + to_come > limits.most_cost:
                return f"the budget of {limits.most_cost:,} in money is spent"
        return None

    def _key(self, prompt: Prompt) -> str:
        return self._store.key(
            {
                "model": self.name,
                "messages": prompt.messages(),
                "schema": prompt.schema(),
                "answer_tokens": prompt.answer_tokens,
            }
        )


class _Dialect:
    """What an endpoint understands, found out from what it complains of.

    Endpoints call the same thing by other names, or do without it: a schema is asked for in the
    prompt too, and every answer is validated here.
    """

    def __init__(self) -> None:
        self._formats = ["bounded_json_schema", "json_schema", "json_object", "none"]
        self._limit_name = "max_tokens"
        self._temperature = True

    def options(self, prompt: Prompt) -> dict[str, Any]:
        """Return the options of a call."""
        options: dict[str, Any] = {self._limit_name: prompt.answer_tokens}
        if self._temperature:
            options["temperature"] = 0
        if self._formats[0].endswith("json_schema"):
            options["response_format"] = {
                "type": "json_schema",
                "json_schema": {
                    "name": prompt.answer.__name__,
                    "strict": True,
                    "schema": prompt.schema(self._formats[0].startswith("bounded")),
                },
            }
        elif self._formats[0] == "json_object":
            options["response_format"] = {"type": "json_object"}
        return options

    def adapts_to(self, complaint: str) -> bool:
        """Whether the next call will be without what an endpoint has just complained of."""
        said = complaint.lower()
        if any(word in said for word in ("response_format", "json_schema", "grammar", "schema")):
            if len(self._formats) == 1:
                return False
            del self._formats[0]
            return True
        if "max_tokens" in said and self._limit_name == "max_tokens":
            self._limit_name = "max_completion_tokens"
            return True
        if "temperature" in said and self._temperature:
            self._temperature = False
            return True
        return False


class LanguageModelResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The language model that assets use, if one is configured."""

    root: str

    def settings(self) -> LanguageModelSettings:
        """Return the settings as they are now."""
        return load_settings(Storage(self.root)).language_model

    def open(self, log: Callable[[str], object] = lambda _: None) -> LanguageModel | None:
        """Return the model; None if none is configured."""
        settings = self.settings()
        if settings.model is None:
            return None
        return LanguageModel(settings, Storage(self.root), log)


class _Greeting(pydantic.BaseModel):
    ready: bool


def try_out(model: LanguageModel) -> AskFailure | None:
    """Ask a model for the smallest of structured answers; return why it gave none.

    Raises
    ------
    LanguageModelError, LanguageModelUnavailableError
        As `LanguageModel.ask` does.
    """
    (answer,) = model.ask([Prompt("Say that you are ready.", {"ready": True}, _Greeting)])
    return answer if isinstance(answer, AskFailure) else None


def _tokens(text: str) -> int:
    return len(text) // CHARACTERS_A_TOKEN + 8


def _estimated_tokens(prompt: Prompt) -> int:
    return sum(_tokens(one["content"]) for one in prompt.messages())


def _problem(error: pydantic.ValidationError) -> str:
    first = error.errors(include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"[:300]


def _retry_after(headers: Any) -> float | None:
    """Return the seconds that an endpoint asks to wait; None if it does not say."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return float(headers.get(name)) / unit
        except (TypeError, ValueError):
            continue
    return None


def _wait(attempt: int, asked: float | None) -> float:
    if asked is not None and asked >= 0:
        return min(asked, _LONGEST_WAIT_SECONDS)
    longest = min(_FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1), _LONGEST_WAIT_SECONDS)
    return longest * (0.5 + random.random() / 2)  # noqa: S311 (only spreads calls in time)
