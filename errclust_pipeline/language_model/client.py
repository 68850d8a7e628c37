"""A language model behind any OpenAI-compatible endpoint, with a store, retries and a budget."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast

import pydantic

from errclust_pipeline.analysis.language import (
    CHARACTERS_A_TOKEN,
    AskFailure,
    FailureKind,
    Prompt,
    excerpt,
)
from errclust_pipeline.language_model.options import LanguageModelOptions
from errclust_pipeline.language_model.store import AnswerStore, StoredAnswer
from errclust_pipeline.warehouse.storage import Storage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_FIRST_WAIT_SECONDS = 0.5
_LONGEST_WAIT_SECONDS = 60.0
_LONGEST_ASKED_SECONDS = 300.0
"""An endpoint that asks for a longer wait is not waited for: to come sooner would be no use."""
_FAILURES_BEFORE_GIVING_UP = 3
_TOO_LONG = ("context length", "context_length", "context size", "too long", "maximum context")

Answer = pydantic.BaseModel | AskFailure


class LanguageModelError(RuntimeError):
    """The endpoint cannot be used as it is configured; the message says what to change."""


class LanguageModelUnavailableError(ConnectionError):
    """The endpoint does not answer at present; what it has answered is kept."""


@dataclass
class Usage:
    """What asking took.

    ``estimated`` counts the calls whose tokens the endpoint did not tell: those are estimated, and
    rather too high, so that a budget holds all the same.
    """

    prompts: int = 0
    calls: int = 0
    from_store: int = 0
    repaired: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    estimated: int = 0
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
    options : LanguageModelOptions
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
        options: LanguageModelOptions,
        storage: Storage,
        log: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.options = options
        self.name = options.model
        self.usage = Usage()
        self._store = AnswerStore(storage, options.model)
        self._log = log
        self._reserved_tokens = 0
        self._dialect = _Dialect()
        self._has_answered = False
        self._stop = asyncio.Event()
        self._unreachable: list[AskFailure] = []

    def quote(self, prompts: Sequence[Prompt]) -> Quote:
        """Return what asking these would take at most, repairs aside, without asking."""
        asked = {self._key(one, one.messages()): one for one in prompts}
        missing = [one for key, one in asked.items() if self._store.find(key) is None]
        prompt_tokens = sum(_tokens(one.messages()) for one in missing)
        answer_tokens = sum(one.answer_tokens for one in missing)
        return Quote(
            len(asked),
            len(asked) - len(missing),
            prompt_tokens,
            answer_tokens,
            self.options.cost(prompt_tokens, answer_tokens),
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
            "cost": self.options.cost(prompt_tokens, answer_tokens),
            "mean_seconds": sum(seconds) / len(seconds) if seconds else None,
            "longest_seconds": max(seconds, default=None),
        }

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """Ask for answers: from the store, else from the endpoint, several at a time.

        An answer that is not of the form asked for is sent back once with what is wrong with it.
        What is answered is stored at once. A prompt that stands there twice is asked once.

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
        keys = [self._key(one, one.messages()) for one in prompts]
        asked = dict(zip(keys, prompts, strict=True))
        started = time.monotonic()
        before = dataclasses.replace(self.usage)
        answers = dict(zip(asked, asyncio.run(self._ask_all(list(asked.values()))), strict=True))
        self.usage.prompts += len(asked)
        self.usage.seconds += time.monotonic() - started
        self.usage.failures.update(
            one.kind.value for one in answers.values() if isinstance(one, AskFailure)
        )
        self._log(
            f"{self.usage.calls - before.calls:,} calls to {self.name} in "
            f"{time.monotonic() - started:.1f} s, {self.usage.from_store - before.from_store:,} "
            "answers from the store"
        )
        estimated = self.usage.estimated - before.estimated
        if estimated:
            self._log(
                f"of {estimated:,} calls {self.options.address} did not tell the tokens: they are "
                "estimated, rather too high"
            )
        return [answers[key] for key in keys]

    async def _ask_all(self, prompts: Sequence[Prompt]) -> list[Answer]:
        import openai

        client = openai.AsyncOpenAI(
            base_url=self.options.base_url,
            # A local server needs none, but the client insists.
            api_key=self.options.key() or "none",
            max_retries=0,
            timeout=self.options.seconds_to_answer,
        )
        gate = asyncio.Semaphore(self.options.calls_at_once)
        self._stop = asyncio.Event()
        trouble: list[Exception] = []

        async def one(prompt: Prompt) -> Answer | None:
            async with gate:
                if self._stop.is_set():
                    return None
                try:
                    return await self._ask_one(client, prompt)
                except Exception as error:
                    # What is being answered already is paid for: it is waited for and kept.
                    trouble.append(error)
                    self._stop.set()
                    return None

        async with client:
            answers = await asyncio.gather(*map(one, prompts))
            if self._unreachable and not self._has_answered and not trouble:
                await self._greet(client)
        if trouble:
            raise trouble[0]
        return cast("list[Answer]", answers)

    async def _ask_one(self, client: AsyncOpenAI, prompt: Prompt) -> Answer:
        """Return an answer, or why there is none: none that is valid, not even after one repair."""
        messages, problem = prompt.messages(), ""
        for attempt in range(2):
            key = self._key(prompt, messages)
            stored = self._store.find(key)
            is_new = stored is None
            if stored is None:
                outcome = await self._call(client, prompt, messages, self.options.tries)
                if isinstance(outcome, AskFailure):
                    if outcome.kind is FailureKind.UNREACHABLE:
                        await self._note_unreachable(client, outcome)
                    return outcome
                stored = outcome
            elif not attempt:
                self.usage.from_store += 1
            answer = _read(prompt, stored.text)
            if is_new:
                told = filter(None, [stored.problem, answer]) if isinstance(answer, str) else ()
                stored = dataclasses.replace(stored, problem="; ".join(told) or None)
                self._store.keep(key, stored)
            if not isinstance(answer, str):
                self.usage.repaired += attempt and is_new
                return answer
            problem = stored.problem or answer
            messages = [
                *messages,
                {"role": "assistant", "content": stored.text[:4000] or "{}"},
                {
                    "role": "user",
                    "content": f"That is not a valid answer: {problem}. Answer "
                    "again, with the corrected JSON object only.",
                },
            ]
        return AskFailure(FailureKind.INVALID, problem)

    async def _note_unreachable(self, client: AsyncOpenAI, failure: AskFailure) -> None:
        self._unreachable.append(failure)
        if len(self._unreachable) >= _FAILURES_BEFORE_GIVING_UP:
            await self._greet(client)

    async def _greet(self, client: AsyncOpenAI) -> None:
        """Find out whether an endpoint that does not answer is away, or only dislikes some texts.

        Raises
        ------
        LanguageModelUnavailableError
            If it does not even answer the smallest of prompts.
        """
        failed = list(self._unreachable)
        answer = await self._call(client, _GREETING, _GREETING.messages(), tries=1)
        if isinstance(answer, AskFailure) and answer.kind is FailureKind.UNREACHABLE:
            raise LanguageModelUnavailableError(
                f"{self.options.address} does not answer"
                + (f", {len(failed)} prompts in a row" if len(failed) > 1 else "")
                + f", tried up to {self.options.tries} times: {failed[-1].reason}. What it has "
                "answered is kept; run again when it is back"
            )

    async def _call(
        self, client: AsyncOpenAI, prompt: Prompt, messages: list[dict[str, str]], tries: int
    ) -> StoredAnswer | AskFailure:
        """Call the endpoint, within the budget, until it answers."""
        tokens = _tokens(messages) + prompt.answer_tokens
        over = self._over_budget(tokens)
        if over:
            return AskFailure(FailureKind.OVER_BUDGET, over)
        self.usage.calls += 1
        self._reserved_tokens += tokens
        try:
            return await self._tried(client, prompt, messages, tries)
        finally:
            self._reserved_tokens -= tokens

    async def _tried(
        self, client: AsyncOpenAI, prompt: Prompt, messages: list[dict[str, str]], tries: int
    ) -> StoredAnswer | AskFailure:
        """Return an answer; its problem is set if it was cut off."""
        import openai

        last, attempt = "", 0
        while attempt < tries and not self._stop.is_set():
            started, dialect, wait = time.monotonic(), self._dialect, None
            # The client's own errors may hold the key: none is chained to what is raised.
            try:
                # The client's own time-out is between two bytes: an answer that trickles in would
                # never end.
                async with asyncio.timeout(self.options.seconds_to_answer):
                    completion = await client.chat.completions.create(
                        model=self.name, messages=cast("Any", messages), **dialect.options(prompt)
                    )
                received = self._received(completion, messages, time.monotonic() - started)
                if received is not None:
                    return received
                last = f"no chat completion: {getattr(completion, 'error', None) or 'no choices'}"
                last = self._plain(last)
            except openai.AuthenticationError as error:
                raise self._key_refused(error) from None
            except openai.PermissionDeniedError as error:
                # Of a key that is good, something on the way may dislike this one text.
                if not self._has_answered and prompt is not _GREETING:
                    await self._call(client, _GREETING, _GREETING.messages(), tries=1)
                if not self._has_answered:
                    raise self._key_refused(error) from None
                return AskFailure(FailureKind.REFUSED, self._told(error))
            except openai.NotFoundError as error:
                last = self._told(error)
                if not self._has_answered:
                    raise LanguageModelError(
                        f"{self.options.address} does not know model {self.name!r}, or is no "
                        f"chat endpoint (its URL mostly ends in /v1): {last}"
                    ) from None
            except (openai.RateLimitError, openai.InternalServerError) as error:
                last, wait = self._told(error), _retry_after(error.response.headers)
            except openai.APIStatusError as error:
                told = self._told(error)
                if any(words in told.lower() for words in _TOO_LONG):
                    return AskFailure(FailureKind.TOO_LONG, told)
                adapted = dialect.without(told)
                if adapted is None:
                    return AskFailure(FailureKind.REFUSED, told)
                if self._dialect == dialect:
                    # Else another call has learnt something in the meantime.
                    self._dialect = adapted
                continue
            except (openai.APIError, TimeoutError, ValueError, RecursionError) as error:
                # Nothing came back, or something that cannot be read.
                last = self._told(error)
            if wait is not None and wait > _LONGEST_ASKED_SECONDS:
                return AskFailure(
                    FailureKind.UNREACHABLE, f"{last} (it asks to wait for {wait:,.0f} s)"
                )
            attempt += 1
            if attempt < tries:
                self.usage.retries += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_wait(attempt, wait)):
                        await self._stop.wait()
        return AskFailure(FailureKind.UNREACHABLE, last)

    def _received(
        self, completion: Any, messages: list[dict[str, str]], seconds: float
    ) -> StoredAnswer | None:
        """Count what a completion took and return it; None if it is none."""
        if isinstance(completion, str) and not self._has_answered:
            # E.g. a page of HTML with status 200, which the client hands over as text.
            raise LanguageModelError(
                f"{self.options.address} answers with something else than a chat completion: is "
                "base_url right? It mostly ends in /v1"
            )
        choices = getattr(completion, "choices", None)
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = getattr(choice, "message", None)
        text = getattr(message, "content", None) or ""
        if message is None or not isinstance(text, str):
            return None
        self._has_answered = True
        self._unreachable.clear()
        # Half a character can be neither stored nor sent back.
        text = text.encode(errors="replace").decode()
        usage = getattr(completion, "usage", None)
        prompt_tokens = _count(usage, "prompt_tokens")
        answer_tokens = _count(usage, "completion_tokens")
        self.usage.estimated += not (prompt_tokens and answer_tokens)
        prompt_tokens = prompt_tokens or _tokens(messages)
        answer_tokens = answer_tokens or _tokens_of(text)
        self.usage.prompt_tokens += prompt_tokens
        self.usage.answer_tokens += answer_tokens
        self.usage.cost += self.options.cost(prompt_tokens, answer_tokens) or 0.0
        self.usage.longest_seconds = max(self.usage.longest_seconds, seconds)
        cut_off = getattr(choice, "finish_reason", None) == "length"
        problem = "the answer was cut off at its longest length: be brief" if cut_off else None
        return StoredAnswer(text, problem, prompt_tokens, answer_tokens, seconds)

    def _key_refused(self, error: BaseException) -> LanguageModelError:
        return LanguageModelError(
            f"{self.options.address} refuses the key: set {self.options.key_variable} "
            f"({self._told(error)})"
        )

    def _told(self, error: BaseException) -> str:
        """Return an error's message, short, with what it was caused by."""
        if isinstance(error, TimeoutError):
            return "no answer in time"
        cause = f" {error.__cause__}" if error.__cause__ is not None else ""
        return self._plain(f"{error}{cause}") or type(error).__name__

    def _plain(self, message: str) -> str:
        """Return a message fit for a log, without the key: some endpoints repeat it."""
        key = self.options.key()
        # A key that cannot be sent is told of as a literal.
        for form in (key, repr(key)[1:-1]) if key else ():
            message = message.replace(form, "…")
        return excerpt(message, 300)

    def _over_budget(self, tokens: int) -> str | None:
        """Say which limit a call of so many tokens at most would exceed; None if none."""
        limits, used = self.options, self.usage
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

    def _key(self, prompt: Prompt, messages: list[dict[str, str]]) -> str:
        return self._store.key(
            {
                "model": self.name,
                "messages": messages,
                "schema": prompt.schema(),
                "answer_tokens": prompt.answer_tokens,
            }
        )


@dataclass(frozen=True)
class _Dialect:
    """What an endpoint understands, found out from what it complains of.

    Endpoints call the same thing by other names, or do without it: a schema is asked for in the
    prompt too, and every answer is validated here.
    """

    formats: tuple[str, ...] = ("bounded_json_schema", "json_schema", "json_object", "none")
    limit_name: str = "max_tokens"
    has_temperature: bool = True

    def options(self, prompt: Prompt) -> dict[str, Any]:
        """Return the options of a call."""
        options: dict[str, Any] = {self.limit_name: prompt.answer_tokens}
        if self.has_temperature:
            options["temperature"] = 0
        if self.formats[0].endswith("json_schema"):
            options["response_format"] = {
                "type": "json_schema",
                "json_schema": {
                    "name": prompt.answer.__name__,
                    "strict": True,
                    "schema": prompt.schema(self.formats[0].startswith("bounded")),
                },
            }
        elif self.formats[0] == "json_object":
            options["response_format"] = {"type": "json_object"}
        return options

    def without(self, complaint: str) -> _Dialect | None:
        """Return a dialect without what an endpoint complains of; None if there is none."""
        said = complaint.lower()
        if any(word in said for word in ("response_format", "json_schema", "grammar", "schema")):
            others = self.formats[1:]
            return dataclasses.replace(self, formats=others) if others else None
        if "max_tokens" in said and self.limit_name == "max_tokens":
            return dataclasses.replace(self, limit_name="max_completion_tokens")
        if "temperature" in said and self.has_temperature:
            return dataclasses.replace(self, has_temperature=False)
        return None


class _Greeting(pydantic.BaseModel):
    ready: bool


_GREETING = Prompt("Say that you are ready.", {"ready": True}, _Greeting)
"""The smallest of structured answers is asked for."""


def try_out(model: LanguageModel) -> AskFailure | None:
    """Ask a model for the smallest of structured answers; return why it gave none.

    Raises
    ------
    LanguageModelError, LanguageModelUnavailableError
        As `LanguageModel.ask` does.
    """
    (answer,) = model.ask([_GREETING])
    return answer if isinstance(answer, AskFailure) else None


def _tokens_of(text: str) -> int:
    return len(text) // CHARACTERS_A_TOKEN + 8


def _tokens(messages: list[dict[str, str]]) -> int:
    return sum(_tokens_of(one["content"]) for one in messages)


def _count(usage: Any, name: str) -> int:
    """Return a number of tokens as an endpoint has it; 0 if it has none."""
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and value > 0 else 0


def _read(prompt: Prompt, text: str) -> pydantic.BaseModel | str:
    """Return an answer, or what is wrong with it."""
    try:
        return prompt.parse(text)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        told = first["msg"].removeprefix("Value error, ")
        return excerpt(f"{where}: {told}" if where else told, 300)


def _retry_after(headers: Any) -> float | None:
    """Return the seconds that an endpoint asks to wait; None if it does not say."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return float(headers.get(name)) / unit
        except (TypeError, ValueError):
            continue
    try:
        date = parsedate_to_datetime(headers.get("retry-after"))
        return (date - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError):
        return None


def _wait(attempt: int, asked: float | None) -> float:
    if asked is not None and asked >= 0:
        return asked
    longest = min(_FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1), _LONGEST_WAIT_SECONDS)
    return longest * (0.5 + random.random() / 2)  # noqa: S311 (only spreads calls in time)
