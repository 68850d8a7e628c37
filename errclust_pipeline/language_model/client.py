"""The client of a language model: answers from the store, else from the endpoint, validated."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import pydantic

from errclust_pipeline.analysis.language import AskFailure, FailureKind, Prompt, excerpt
from errclust_pipeline.language_model.endpoint import GREETING, Endpoint
from errclust_pipeline.language_model.errors import (
    LanguageModelError,
    LanguageModelUnavailableError,
)
from errclust_pipeline.language_model.options import LanguageModelOptions
from errclust_pipeline.language_model.store import AnswerStore
from errclust_pipeline.language_model.usage import Messages, Quote, Usage, tokens_of_messages
from errclust_pipeline.warehouse.storage import Storage

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = [
    "LanguageModel",
    "LanguageModelError",
    "LanguageModelUnavailableError",
    "try_out",
]

_FAILURES_BEFORE_A_GREETING = 3
"""Number of unanswered prompts in a row after which the endpoint is tested with a greeting."""
_MAX_REPEATED_CHARACTERS = 4_000
"""Maximum length of an invalid answer that is sent back to be corrected."""

Answer = pydantic.BaseModel | AskFailure


class LanguageModel:
    """Asks a chat model for structured answers.

    Parameters
    ----------
    options : LanguageModelOptions
    storage : Storage
        The data root, where answers are kept.
    log : callable, optional
        Receives lines about progress and trouble.

    Attributes
    ----------
    name : str
        The model's name.
    usage : Usage
        What all calls of `ask` took so far; the budget holds for it.
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
        self._endpoint = Endpoint(options, self.usage)

    def quote(self, prompts: Sequence[Prompt]) -> Quote:
        """Return what asking prompts would take at most, without repairs and without asking."""
        prompt_of = {self._key(prompt, prompt.messages()): prompt for prompt in prompts}
        missing = [prompt for key, prompt in prompt_of.items() if self._store.find(key) is None]
        prompt_tokens = sum(tokens_of_messages(prompt.messages()) for prompt in missing)
        answer_tokens = sum(prompt.answer_tokens for prompt in missing)
        return Quote(
            len(prompt_of),
            len(prompt_of) - len(missing),
            prompt_tokens,
            answer_tokens,
            self.options.cost(prompt_tokens, answer_tokens),
        )

    def totals(self) -> dict[str, float | int | None]:
        """Return what all stored answers took, over all runs and partitions."""
        answers = list(self._store.all())
        prompt_tokens = sum(answer.prompt_tokens for answer in answers)
        answer_tokens = sum(answer.answer_tokens for answer in answers)
        seconds = [answer.seconds for answer in answers]
        return {
            "answers": len(answers),
            "unusable": sum(answer.problem is not None for answer in answers),
            "prompt_tokens": prompt_tokens,
            "answer_tokens": answer_tokens,
            "cost": self.options.cost(prompt_tokens, answer_tokens),
            "mean_seconds": sum(seconds) / len(seconds) if seconds else None,
            "longest_seconds": max(seconds, default=None),
        }

    def ask(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """Ask for answers: from the store, else from the endpoint, several at a time.

        An answer that does not have the requested form is sent back once, with what is wrong with
        it. Every answer is stored as soon as it arrives. Equal prompts are asked once.

        Parameters
        ----------
        prompts : sequence of Prompt, length n

        Returns
        -------
        list, length n
            An answer or a failure for each prompt, in the same order.

        Raises
        ------
        LanguageModelError
            If the endpoint refuses the key, does not know the model, or is no chat endpoint.
        LanguageModelUnavailableError
            If the endpoint does not answer any attempt.
        """
        if not prompts:
            return []
        keys = [self._key(prompt, prompt.messages()) for prompt in prompts]
        prompt_of = dict(zip(keys, prompts, strict=True))
        started = time.monotonic()
        before = dataclasses.replace(self.usage)
        answers = asyncio.run(self._ask_all(list(prompt_of.values())))
        self.usage.prompts += len(prompt_of)
        self.usage.seconds += time.monotonic() - started
        self.usage.failures.update(
            answer.kind.value for answer in answers if isinstance(answer, AskFailure)
        )
        self._report(before, time.monotonic() - started)
        answer_of = dict(zip(prompt_of, answers, strict=True))
        return [answer_of[key] for key in keys]

    def _report(self, before: Usage, seconds: float) -> None:
        calls = self.usage.calls - before.calls
        from_store = self.usage.from_store - before.from_store
        estimated = self.usage.estimated - before.estimated
        self._log(
            f"{calls:,} calls to {self.name} in {seconds:.1f} s, {from_store:,} answers from the "
            "store"
        )
        if estimated:
            self._log(
                f"{self.options.address} did not report the tokens of {estimated:,} calls: they "
                "are estimated, on the high side"
            )

    async def _ask_all(self, prompts: Sequence[Prompt]) -> list[Answer]:
        client = self._endpoint.connect()
        gate = asyncio.Semaphore(self.options.calls_at_once)
        errors: list[Exception] = []

        async def ask(prompt: Prompt) -> Answer | None:
            async with gate:
                if self._endpoint.is_stopped:
                    return None
                try:
                    return await self._ask_one(client, prompt)
                except Exception as error:
                    # Open calls are paid for already: their answers are waited for and kept.
                    errors.append(error)
                    self._endpoint.stop()
                    return None

        async with client:
            answers = await asyncio.gather(*map(ask, prompts))
            if self._endpoint.unanswered and not self._endpoint.has_answered and not errors:
                await self._greet(client)
        if errors:
            raise errors[0]
        return cast("list[Answer]", answers)

    async def _ask_one(self, client: AsyncOpenAI, prompt: Prompt) -> Answer:
        """Return an answer, or the reason why there is no valid one, even after one repair."""
        messages, problem = prompt.messages(), ""
        for attempt in range(2):
            key = self._key(prompt, messages)
            stored = self._store.find(key)
            is_new = stored is None
            if stored is None:
                outcome = await self._endpoint.call(client, prompt, messages, self.options.tries)
                if isinstance(outcome, AskFailure):
                    if outcome.kind is FailureKind.UNREACHABLE:
                        await self._note_unanswered(client, outcome)
                    return outcome
                stored = outcome
            elif not attempt:
                self.usage.from_store += 1
            answer = _validated(prompt, stored.text)
            if is_new:
                problems = filter(None, [stored.problem, answer]) if isinstance(answer, str) else ()
                stored = dataclasses.replace(stored, problem="; ".join(problems) or None)
                self._store.keep(key, stored)
            if not isinstance(answer, str):
                self.usage.repaired += attempt and is_new
                return answer
            problem = stored.problem or answer
            messages = [
                *messages,
                {"role": "assistant", "content": stored.text[:_MAX_REPEATED_CHARACTERS] or "{}"},
                {
                    "role": "user",
                    "content": f"That is not a valid answer: {problem}. Answer "
                    "again, with the corrected JSON object only.",
                },
            ]
        return AskFailure(FailureKind.INVALID, problem)

    async def _note_unanswered(self, client: AsyncOpenAI, failure: AskFailure) -> None:
        self._endpoint.unanswered.append(failure)
        if len(self._endpoint.unanswered) >= _FAILURES_BEFORE_A_GREETING:
            await self._greet(client)

    async def _greet(self, client: AsyncOpenAI) -> None:
        """Test whether an endpoint that does not answer is away, or only fails at some prompts.

        Raises
        ------
        LanguageModelUnavailableError
            If it does not answer the smallest prompt either.
        """
        failures = list(self._endpoint.unanswered)
        answer = await self._endpoint.call(client, GREETING, GREETING.messages(), tries=1)
        if isinstance(answer, AskFailure) and answer.kind is FailureKind.UNREACHABLE:
            raise LanguageModelUnavailableError(
                f"{self.options.address} does not answer"
                + (f", {len(failures)} prompts in a row" if len(failures) > 1 else "")
                + f", tried up to {self.options.tries} times: {failures[-1].reason}. The answers "
                "received so far are kept; run again when it is back"
            )

    def _key(self, prompt: Prompt, messages: Messages) -> str:
        return self._store.key(
            {
                "model": self.name,
                "messages": messages,
                "schema": prompt.schema(),
                "answer_tokens": prompt.answer_tokens,
            }
        )


def try_out(model: LanguageModel) -> AskFailure | None:
    """Ask a model for the smallest structured answer; return why it gave none.

    Raises
    ------
    LanguageModelError, LanguageModelUnavailableError
        As `LanguageModel.ask` does.
    """
    (answer,) = model.ask([GREETING])
    return answer if isinstance(answer, AskFailure) else None


def _validated(prompt: Prompt, text: str) -> pydantic.BaseModel | str:
    """Return an answer, or what is wrong with its text."""
    try:
        return prompt.parse(text)
    except pydantic.ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        return excerpt(f"{where}: {message}" if where else message, 300)
