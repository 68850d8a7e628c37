"""The options that an endpoint understands, learned from its complaints."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from errclust_pipeline.analysis.language import Prompt

_COMPLAINTS_ABOUT_FORMAT = ("response_format", "json_schema", "grammar", "schema")


@dataclass(frozen=True)
class Dialect:
    """The options that an endpoint understands.

    Endpoints give the same option different names, or do not have it. None of the options is
    necessary: the prompt asks for the schema too, and every answer is validated.

    Attributes
    ----------
    formats : tuple of str
        Forms of the answer that can still be asked for, the strictest first.
    limit_name : str
        The endpoint's name for the maximum length of an answer.
    has_temperature : bool
        Whether the endpoint lets the temperature be set.
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

    def without(self, complaint: str) -> Dialect | None:
        """Return a dialect without the option that an endpoint complains of.

        Returns
        -------
        Dialect or None
            None if the complaint is about no option, or there is nothing left to leave out.
        """
        complaint = complaint.lower()
        if any(word in complaint for word in _COMPLAINTS_ABOUT_FORMAT):
            others = self.formats[1:]
            return dataclasses.replace(self, formats=others) if others else None
        if "max_tokens" in complaint and self.limit_name == "max_tokens":
            return dataclasses.replace(self, limit_name="max_completion_tokens")
        if "temperature" in complaint and self.has_temperature:
            return dataclasses.replace(self, has_temperature=False)
        return None
