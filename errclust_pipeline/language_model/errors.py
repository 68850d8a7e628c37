"""Errors of a language model that no prompt can be asked of; `AskFailure` is for single prompts."""


class LanguageModelError(RuntimeError):
    """The endpoint cannot be used as it is configured; the message says what to change."""


class LanguageModelUnavailableError(ConnectionError):
    """The endpoint does not answer at present; the answers received before are kept."""
