"""The data files of a dataset: which there are, which split each is of, and fetching them.

Splits and configurations are found by ``datasets``, from the dataset's card or its files' names, as
``load_dataset`` finds them. The files themselves are fetched by `Hub` and read by `sources`: so
they are fetched once, at a commit, with their content checked; and one bad row does not cost the
others. ``datasets`` runs no code of a dataset's, and here it opens no data file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from errclust_pipeline.hub.address import HubAddress, leads_outside
from errclust_pipeline.hub.client import Hub
from errclust_pipeline.hub.download import HubFile
from errclust_pipeline.hub.errors import HubBusyError, explain_errors
from errclust_pipeline.sources.base import SourceError

MAX_BYTES = 20 << 30
"""Maximum size of the files that are fetched at once."""
_MAX_CARD_BYTES = 8 << 20
_CARDS = ("README.md", ".huggingface.yaml")
_HARMLESS_PARAMETERS = frozenset(
    {"name", "version", "data_dir", "data_files", "description", "features", "sep", "delimiter"}
)
_SEPARATORS = (",", "\t")


@dataclasses.dataclass(frozen=True)
class DatasetFiles:
    """Files of a dataset at a commit.

    Attributes
    ----------
    address : HubAddress
        The address they were listed for; its revision is the commit.
    files : tuple of HubFile
    """

    address: HubAddress
    files: tuple[HubFile, ...]


def list_data_files(
    hub: Hub, address: HubAddress, endings: tuple[str, ...], what: str
) -> DatasetFiles:
    """List the files of a dataset that could be of use; hidden ones are left out.

    Parameters
    ----------
    hub : Hub
    address : HubAddress
        A dataset, or a folder or file in it.
    endings : tuple of str
        Lower-case endings of the files that could be of use.
    what : str
        What they could hold, for the message.

    Raises
    ------
    SourceError
        If there is no such file.
    HubError
        If the dataset cannot be listed.
    """
    commit = hub.commit(address.repository, address.revision)
    listed = hub.files(address.repository, commit, address.path)
    files = [
        file
        for file in listed
        if file.path.lower().endswith(endings)
        and not any(part.startswith(".") for part in file.path.split("/"))
    ]
    if not files:
        shown = ", ".join(file.path for file in listed[:5]) or "nothing"
        raise SourceError(
            f"{address} holds no files that could be {what} ({shown}); those end in "
            f"{', '.join(endings)}"
        )
    return DatasetFiles(dataclasses.replace(address, revision=commit), tuple(files))


def fetch_data_files(hub: Hub, dataset: DatasetFiles) -> list[Path]:
    """Fetch files of a dataset; return where they lie.

    Raises
    ------
    SourceError
        If they are larger than `MAX_BYTES`, which is hardly meant.
    HubError
        If they cannot be fetched.
    """
    address, files = dataset.address, dataset.files
    size = sum(file.size for file in files)
    if size > MAX_BYTES:
        raise SourceError(
            f"{address} holds {size >> 30} GiB in {len(files):,} files: name a folder or file in "
            f"it, e.g. hf:{address.repository}/{files[0].path}"
        )
    return hub.fetch(address.repository, str(address.revision), files)


def splits_of(
    hub: Hub, dataset: DatasetFiles, config: str | None = None
) -> dict[str, DatasetFiles] | None:
    """Return the files of each split of a dataset's configuration, as ``datasets`` finds them.

    Parameters
    ----------
    hub : Hub
    dataset : DatasetFiles
        All data files of a dataset.
    config : str, optional
        The configuration; not needed if there is one only, or a default.

    Returns
    -------
    mapping from split to DatasetFiles, or None
        None if ``datasets`` knows none of the files' formats.

    Raises
    ------
    SourceError
        If a configuration has to be chosen, or does not exist, or if the card names files outside
        the dataset.
    HubError
        If the hub cannot be asked.
    """
    address = dataset.address
    repository, commit = address.repository, str(address.revision)
    _check_cards(hub, address)
    with explain_errors(repository, commit), _quiet():
        builder = _builder(address, config, dataset.files[0].path)
    if builder is None:
        return None
    _check_parameters(builder.config, address)
    prefix = f"hf://datasets/{repository}@{commit}/"
    listed = {file.path: file for file in dataset.files}
    splits = {}
    for split, urls in (builder.config.data_files or {}).items():
        paths = [str(url).removeprefix(prefix) for url in urls if str(url).startswith(prefix)]
        outside = next((str(url) for url in urls if not str(url).startswith(prefix)), None)
        unknown = outside or next((path for path in paths if path not in listed), None)
        if unknown is not None:
            raise SourceError(
                f"split {split} of {address} holds {unknown}, which cannot be read: name the files "
                f"that can, e.g. hf:{repository}/{dataset.files[0].path}"
            )
        splits[str(split)] = DatasetFiles(address, tuple(listed[path] for path in paths))
    if not splits:
        # `datasets` falls back to what it cached of any commit if an answer is missing.
        raise HubBusyError(f"the splits of {address} could not be asked for: try again")
    return splits


def _builder(address: HubAddress, config: str | None, example: str) -> Any:
    """Return the builder of a configuration; None if ``datasets`` knows none of the formats.

    `example` is a file of the dataset, for messages.
    """
    import datasets
    from datasets.data_files import EmptyDatasetError
    from datasets.exceptions import DataFilesNotFoundError
    from huggingface_hub.errors import LocalEntryNotFoundError

    # With "hf://" in front, a local folder of that name is never meant.
    remote, commit = f"hf://datasets/{address.repository}", str(address.revision)
    try:
        return datasets.load_dataset_builder(remote, config, revision=commit)
    except (DataFilesNotFoundError, EmptyDatasetError):
        return None
    except LocalEntryNotFoundError:
        raise
    except ValueError as error:
        known = datasets.get_dataset_config_names(remote, revision=commit)
        if config is None and len(known) > 1:
            names = ", ".join(known[:20])
            raise SourceError(
                f"{address} has the configurations {names}: choose one with --config"
            ) from error
        if config is not None and config not in known:
            names = ", ".join(known[:20])
            raise SourceError(
                f"{address} has no configuration {config!r}; it has: {names}"
            ) from error
        raise SourceError(f"{address} cannot be read as a dataset: {error}") from error
    except RuntimeError as error:
        raise SourceError(
            f"{address} cannot be read as a dataset ({error}): name its files, e.g. "
            f"hf:{address.repository}/{example}"
        ) from error


def _check_cards(hub: Hub, address: HubAddress) -> None:
    """Refuse a card that names files outside its dataset: ``datasets`` would open them."""
    import yaml
    from huggingface_hub import DatasetCard

    repository, commit = address.repository, str(address.revision)
    cards = [file for file in hub.files(repository, commit) if file.path in _CARDS]
    for card in cards:
        if card.size > _MAX_CARD_BYTES:
            raise SourceError(
                f"{card.path} of {address} has {card.size >> 20} MiB: too large for a card; name "
                "a folder or file of the dataset"
            )
    for card, path in zip(cards, hub.fetch(repository, commit, cards), strict=True):
        try:
            text = path.read_text(encoding="utf-8")
            if card.path.endswith(".md"):
                configs = DatasetCard(text, ignore_metadata_errors=True).data.get("configs")
            else:
                configs = (yaml.safe_load(text) or {}).get("configs")
            places = [
                place
                for config in configs or []
                for name in ("data_files", "data_dir")
                for place in _texts_in(config.get(name))
            ]
        except (ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError) as error:
            raise SourceError(
                f"{card.path} of {address} is no card that can be read ({error}): name a folder or "
                "file of the dataset"
            ) from error
        for place in places:
            if "://" in place or "::" in place or place.startswith("~") or leads_outside(place):
                raise SourceError(
                    f"{card.path} of {address} names a file outside the dataset ({place[:200]!r}): "
                    "do not trust it, or name a folder or file of the dataset"
                )


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts_in(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts_in(inner)


def _check_parameters(config: Any, address: HubAddress) -> None:
    """Refuse a configuration by which files are to be read otherwise than by default."""
    usual = type(config)()
    changed = [
        field.name
        for field in dataclasses.fields(config)
        if field.name not in _HARMLESS_PARAMETERS
        and getattr(config, field.name) != getattr(usual, field.name)
    ]
    if getattr(config, "sep", None) not in (None, *_SEPARATORS):
        changed.append("sep")
    if changed:
        raise SourceError(
            f"configuration {config.name!r} of {address} sets {', '.join(changed)}, which is not "
            "supported: load it with `datasets`, save it as Parquet, and give that folder"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep ``datasets`` from printing within this block."""
    from datasets.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
