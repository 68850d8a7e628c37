"""Errors of the hub, each with what to do about it.

The clients raise errors about HTTP; `explain_errors` turns them into errors about datasets, tokens
and terms to accept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from errclust_pipeline.sources.errors import SourceError

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError


class HubError(OSError):
    """The hub does not give what was asked for."""


class HubMissingError(HubError):
    """A dataset does not exist, or the token may not know of it."""


class HubBusyError(HubError, ConnectionError):
    """The hub cannot be reached or is too busy: the same request may work later."""


def retry_after(error: HfHubHTTPError) -> int | None:
    """Return the seconds for which the hub asks to be left alone; None if it does not say."""
    value = error.response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return int(value)
    # E.g. "resolvers";r=0;t=55: no request is left for the next 55 seconds.
    limit = re.search(r"\br=0\s*;\s*t=(\d+)", error.response.headers.get("ratelimit", ""))
    return int(limit[1]) if limit else None


@contextmanager
def explain_errors(repository: str, revision: str | None = None, path: str = "") -> Iterator[None]:
    """Turn what the hub's clients raise within this block into errors that say what to do."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except (HubError, SourceError):
        raise
    except (errors.LocalEntryNotFoundError, errors.HfHubHTTPError) as error:
        cause = error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else error
        if isinstance(cause, errors.HfHubHTTPError):
            raise _refusal(cause, repository, revision, path) from error
        raise _unreachable(cause or error, repository) from error
    except (errors.OfflineModeIsEnabled, httpx2.HTTPError, ConnectionError, TimeoutError) as error:
        raise _unreachable(error, repository) from error
    except errors.HFValidationError as error:
        raise HubError(f"{repository!r} cannot be a dataset's name: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HubBusyError(
            f"{page_of(repository)} did not answer as a hub does ({type(error).__name__}: "
            f"{error}): is HF_ENDPOINT right, and nothing between this machine and the hub?"
        ) from error
    except OSError as error:
        if error.errno is not None:
            # An error of this machine: a full disk, a folder that is not writable.
            raise
        raise HubBusyError(
            f"{path or repository} could not be fetched whole from {page_of(repository)}: try "
            f"again ({_first_line(error)})"
        ) from error


def _refusal(error: HfHubHTTPError, repository: str, revision: str | None, path: str) -> HubError:
    from huggingface_hub import constants, errors

    page, tokens = page_of(repository), f"{constants.ENDPOINT}/settings/tokens"
    status = error.response.status_code
    said = error.response.headers.get("X-Error-Message", "")
    has_token = _token() is not None
    if isinstance(error, errors.GatedRepoError):
        if has_token:
            return HubError(
                f"{repository} is gated, and the account of your token has no access: accept its "
                f"terms on {page}, with that account; if you did, it may be waiting to be let in, "
                "or the token may not be allowed to read gated repositories"
            )
        return HubError(
            f"{repository} is gated: accept its terms on {page}, then set HF_TOKEN to a token of "
            f"that account ({tokens})"
        )
    if status == 401 and said.startswith("Invalid credentials"):
        return HubError(
            f"the hub does not accept your token (HF_TOKEN, or that of `hf auth login`): set a "
            f"valid one ({tokens})"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return HubError(f"{page} has no revision {revision!r}: see its commits and branches there")
    if isinstance(error, errors.EntryNotFoundError):
        return HubError(f"{page} has no {path or 'such file'} at revision {revision}")
    if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        hint = (
            "is it private, and your token of another account?"
            if has_token
            else f"if it is private, set HF_TOKEN ({tokens})"
        )
        return HubMissingError(f"there is no dataset {page}: is the name right? {hint}")
    if isinstance(error, errors.DisabledRepoError):
        return HubError(f"{page} was disabled: it cannot be had any more")
    if status == 429:
        seconds = retry_after(error)
        when = f"in {seconds:,} seconds" if seconds is not None else "in a few minutes"
        hint = "" if has_token else f"; with a token in HF_TOKEN it allows more ({tokens})"
        return HubBusyError(
            f"the hub has had too many requests from here: try again {when}{hint}. What was "
            "fetched is kept"
        )
    if status >= 500:
        return HubBusyError(
            f"the hub is out of order (status {status} for {page}): try again later. What was "
            "fetched is kept"
        )
    return HubError(f"the hub refuses {path or repository} of {page}: {said or _first_line(error)}")


def _unreachable(error: BaseException, repository: str) -> HubError:
    from huggingface_hub import constants, errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubError(
            f"{repository} is not on this machine, and HF_HUB_OFFLINE forbids asking the hub for "
            "it: unset it"
        )
    return HubBusyError(
        f"{constants.ENDPOINT} cannot be reached for {repository} ({_first_line(error)}): try "
        "again later. What was fetched is kept"
    )


def _token() -> str | None:
    from huggingface_hub import get_token

    return get_token()


def page_of(repository: str) -> str:
    """Return the address of a dataset's page."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/datasets/{repository}"


def _first_line(error: BaseException) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
