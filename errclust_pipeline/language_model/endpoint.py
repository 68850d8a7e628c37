"""Calls to an OpenAI-compatible endpoint: attempts, waits, dialect, and the words for its errors.

Which prompts are asked, and what is done with answers, belongs in `client`.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast

import pydantic

from errclust_pipeline.analysis.language import AskFailure, FailureKind, Prompt, excerpt
from errclust_pipeline.language_model.dialect import Dialect
from errclust_pipeline.language_model.errors import LanguageModelError
from errclust_pipeline.language_model.options import LanguageModelOptions
from errclust_pipeline.language_model.store import StoredAnswer
from errclust_pipeline.language_model.usage import (
    Budget,
    Messages,
    Usage,
    tokens_of_messages,
    tokens_of_text,
)

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI

_FIRST_WAIT_SECONDS = 0.5
_MAX_WAIT_SECONDS = 60.0
_MAX_REQUESTED_WAIT_SECONDS = 300.0
"""Maximum wait at an endpoint's request. If it asks for a longer one, the call fails: an earlier
attempt would be refused as well."""
_MAX_MESSAGE_CHARACTERS = 300
_COMPLAINTS_ABOUT_LENGTH = (
    "context length",
    "context_length",
    "context size",
    "too long",
    "maximum context",
)


class _Greeting(pydantic.BaseModel):
    ready: bool


GREETING = Prompt("Say that you are ready.", {"ready": True}, _Greeting)
"""The smallest structured answer that can be asked for: it tests whether an endpoint answers."""


@dataclass(frozen=True)
class _Retry:
    """The call is to be tried again.

    Attributes
    ----------
    reason : str
        Why there is no answer yet.
    wait : float or None
        Seconds that the endpoint asks to wait.
    adapted : bool
        Whether the dialect was changed: then the attempt does not count.
    """

    reason: str
    wait: float | None = None
    adapted: bool = False


class Endpoint:
    """One model behind an OpenAI-compatible endpoint.

    Parameters
    ----------
    options : LanguageModelOptions
    usage : Usage
        Counts what the calls take; the budget holds for it.

    Attributes
    ----------
    has_answered : bool
        Whether the endpoint ever answered: then its key, model and URL are right.
    unanswered : list of AskFailure
        Failures that the caller noted since the last answer.
    """

    def __init__(self, options: LanguageModelOptions, usage: Usage) -> None:
        self.options = options
        self.has_answered = False
        self.unanswered: list[AskFailure] = []
        self._usage = usage
        self._budget = Budget(options, usage)
        self._dialect = Dialect()
        self._stop = asyncio.Event()

    def connect(self) -> AsyncOpenAI:
        """Return a client for one event loop, and forget an earlier `stop`."""
        import openai

        self._stop = asyncio.Event()
        return openai.AsyncOpenAI(
            base_url=self.options.base_url,
            # A local server needs no key, but the client does.
            api_key=self.options.key() or "none",
            max_retries=0,
            timeout=self.options.seconds_to_answer,
        )

    def stop(self) -> None:
        """Begin no further attempt; open ones are waited for."""
        self._stop.set()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called since `connect`."""
        return self._stop.is_set()

    async def call(
        self, client: AsyncOpenAI, prompt: Prompt, messages: Messages, tries: int
    ) -> StoredAnswer | AskFailure:
        """Call the endpoint within the budget until it answers.

        Parameters
        ----------
        client : AsyncOpenAI
        prompt : Prompt
            For the form of the answer.
        messages : sequence of dict
        tries : int
            Maximum number of attempts.

        Raises
        ------
        LanguageModelError
            If the endpoint refuses the key, does not know the model, or is no chat endpoint.
        """
        tokens = tokens_of_messages(messages) + prompt.answer_tokens
        exceeded = self._budget.exceeded_by(tokens)
        if exceeded:
            return AskFailure(FailureKind.OVER_BUDGET, exceeded)
        self._usage.calls += 1
        with self._budget.reserved(tokens):
            return await self._attempts(client, prompt, messages, tries)

    async def _attempts(
        self, client: AsyncOpenAI, prompt: Prompt, messages: Messages, tries: int
    ) -> StoredAnswer | AskFailure:
        reason, attempt = "", 0
        while attempt < tries and not self.is_stopped:
            outcome = await self._attempt(client, prompt, messages)
            if not isinstance(outcome, _Retry):
                return outcome
            if outcome.adapted:
                continue
            reason, wait = outcome.reason, outcome.wait
            if wait is not None and wait > _MAX_REQUESTED_WAIT_SECONDS:
                reason = f"{reason} (it asks to wait for {wait:,.0f} s)"
                return AskFailure(FailureKind.UNREACHABLE, reason)
            attempt += 1
            if attempt < tries:
                self._usage.retries += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_seconds_to_wait(attempt, wait)):
                        await self._stop.wait()
        return AskFailure(FailureKind.UNREACHABLE, reason)

    async def _attempt(
        self, client: AsyncOpenAI, prompt: Prompt, messages: Messages
    ) -> StoredAnswer | AskFailure | _Retry:
        """Call the endpoint once; an answer that was cut off has its problem set."""
        import openai

        started, dialect = time.monotonic(), self._dialect
        # The client's own errors may hold the key: they are never chained to what is raised.
        try:
            # The client's time-out is for the time between two bytes: an answer that trickles in
            # would never end.
            async with asyncio.timeout(self.options.seconds_to_answer):
                completion = await client.chat.completions.create(
                    model=self.options.model,
                    messages=cast("Any", messages),
                    **dialect.options(prompt),
                )
            answer = self._received(completion, messages, time.monotonic() - started)
            if answer is not None:
                return answer
            problem = getattr(completion, "error", None) or "no choices"
            return _Retry(self._without_key(f"no chat completion: {problem}"))
        except openai.AuthenticationError as error:
            raise self._key_refused(error) from None
        except openai.PermissionDeniedError as error:
            # With a good key, a filter in between may dislike only this text.
            if not self.has_answered and prompt is not GREETING:
                await self.call(client, GREETING, GREETING.messages(), tries=1)
            if not self.has_answered:
                raise self._key_refused(error) from None
            return AskFailure(FailureKind.REFUSED, self._message_of(error))
        except openai.NotFoundError as error:
            message = self._message_of(error)
            if not self.has_answered:
                raise LanguageModelError(
                    f"{self.options.address} does not know model {self.options.model!r}, or is no "
                    f"chat endpoint (its URL mostly ends in /v1): {message}"
                ) from None
            return _Retry(message)
        except (openai.RateLimitError, openai.InternalServerError) as error:
            return _Retry(self._message_of(error), _requested_wait(error.response.headers))
        except openai.APIStatusError as error:
            return self._refused(error, dialect)
        except (openai.APIError, TimeoutError, ValueError, RecursionError) as error:
            # Nothing came back, or something that cannot be read.
            return _Retry(self._message_of(error))

    def _refused(self, error: APIStatusError, dialect: Dialect) -> AskFailure | _Retry:
        """Adapt the dialect to a complaint, or return why the prompt is refused."""
        message = self._message_of(error)
        if any(words in message.lower() for words in _COMPLAINTS_ABOUT_LENGTH):
            return AskFailure(FailureKind.TOO_LONG, message)
        adapted = dialect.without(message)
        if adapted is None:
            return AskFailure(FailureKind.REFUSED, message)
        # Another call may have adapted the dialect in the meantime.
        if self._dialect == dialect:
            self._dialect = adapted
        return _Retry(message, adapted=True)

    def _received(self, completion: Any, messages: Messages, seconds: float) -> StoredAnswer | None:
        """Count what a completion took and return its answer; None if it holds no answer."""
        if isinstance(completion, str) and not self.has_answered:
            # For example a page of HTML with status 200, which the client returns as text.
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
        self.has_answered = True
        self.unanswered.clear()
        # Half a character can be neither stored nor sent back.
        text = text.encode(errors="replace").decode()
        reported = getattr(completion, "usage", None)
        prompt_tokens = _reported_tokens(reported, "prompt_tokens")
        answer_tokens = _reported_tokens(reported, "completion_tokens")
        usage = self._usage
        usage.estimated += not (prompt_tokens and answer_tokens)
        prompt_tokens = prompt_tokens or tokens_of_messages(messages)
        answer_tokens = answer_tokens or tokens_of_text(text)
        usage.prompt_tokens += prompt_tokens
        usage.answer_tokens += answer_tokens
        usage.cost += self.options.cost(prompt_tokens, answer_tokens) or 0.0
        usage.longest_seconds = max(usage.longest_seconds, seconds)
        is_cut_off = getattr(choice, "finish_reason", None) == "length"
        problem = "the answer was cut off at its maximum length: be brief" if is_cut_off else None
        return StoredAnswer(text, problem, prompt_tokens, answer_tokens, seconds)

    def _key_refused(self, error: BaseException) -> LanguageModelError:
        return LanguageModelError(
            f"{self.options.address} refuses the key: set {self.options.key_variable} "
            f"({self._message_of(error)})"
        )

    def _message_of(self, error: BaseException) -> str:
        """Return an error's message and its cause's, shortened."""
        if isinstance(error, TimeoutError):
            return "no answer in time"
        cause = f" {error.__cause__}" if error.__cause__ is not None else ""
        return self._without_key(f"{error}{cause}") or type(error).__name__

    def _without_key(self, message: str) -> str:
        """Return a message fit for a log, without the key, which some endpoints repeat."""
        key = self.options.key()
        # A key that cannot be sent appears as a literal.
        for form in (key, repr(key)[1:-1]) if key else ():
            message = message.replace(form, "…")
        return excerpt(message, _MAX_MESSAGE_CHARACTERS)


def _reported_tokens(usage: Any, name: str) -> int:
    """Return a number of tokens as the endpoint reports it; 0 if it reports none."""
    value = getattr(usage, name, None)
    return value if isinstance(value, int) and value > 0 else 0


def _requested_wait(headers: Any) -> float | None:
    """Return the seconds that an endpoint asks to wait; None if it asks for no wait."""
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


def _seconds_to_wait(attempt: int, requested: float | None) -> float:
    """Return the wait after an attempt: the requested one, else an exponential one with jitter."""
    if requested is not None and requested >= 0:
        return requested
    longest = min(_FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1), _MAX_WAIT_SECONDS)
    return longest * (0.5 + random.random() / 2)  # noqa: S311 (only spreads calls in time)
