"""A server on loopback that answers like the Hugging Face hub: datasets, with commits and gates.

What it answers, with the hub's own headers: information on a dataset, its tree (in pages), paths in
it, the datasets of an author, files (directly or, large ones, by way of a redirect, whole or in
part), and 401, 403, 404 and 429 as the hub says them. Faults can be ordered: see `HubServer`.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from errclust_pipeline.hub.download import HubFile

LARGE_FILES = (".parquet", ".zip")
"""Which files the hub keeps apart from git and serves from elsewhere."""
TREE_PAGE = 50


@dataclass
class Repository:
    """A dataset: its commits, oldest first, and who may read it."""

    name: str
    gated: bool = False
    private: bool = False
    members: set[str] = field(default_factory=set)
    """Tokens that have access, if it is gated or private."""
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    def commit(self, files: Mapping[str, bytes | None]) -> str:
        """Add, replace or (None) remove files; returns the commit."""
        before = self.commits[self.head] if self.commits else {}
        content = {path: data for path, data in ({**before, **files}).items() if data is not None}
        told = repr((len(self.commits), sorted(content.items())))
        sha = hashlib.sha1(told.encode()).hexdigest()
        self.commits[sha] = content
        return sha

    def at(self, revision: str) -> str | None:
        """The commit that a revision stands for."""
        if revision in ("main", "HEAD"):
            return self.head
        return revision if revision in self.commits else None


@dataclass
class Fault:
    """What goes wrong with the next requests whose path matches."""

    path: str
    times: int
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_bytes: int | None = None
    """The connection is cut after so many bytes of the content."""
    content: bytes | None = None
    """Sent in place of the file's."""
    seconds: float = 0.0
    """How long the second half of the content is waited for."""


class HubServer:
    """The hub's state, and what was asked of it.

    Attributes
    ----------
    url : str
    tokens : set of str
        Those that the hub knows; any other is refused.
    requests : list of str
        Method and path of each request, in order.
    with_token : set of str
        Those of them that came with a token.
    """

    def __init__(self) -> None:
        self.url = ""
        self.tokens: set[str] = set()
        self.requests: list[str] = []
        self.with_token: set[str] = set()
        self._repositories: dict[str, Repository] = {}
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self, name: str, files: Mapping[str, bytes], gated: bool = False, private: bool = False
    ) -> Repository:
        """Add a dataset with a first commit."""
        repository = Repository(name, gated, private)
        repository.commit(files)
        self._repositories[name] = repository
        return repository

    def fail(self, path: str, status: int, times: int = 1, **headers: str) -> None:
        """Answer requests whose path holds `path` with a status; `Retry_After` is a header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._faults.append(Fault(path, times, status, named))

    def say(self, path: str, content: bytes, times: int = 1) -> None:
        """Answer requests whose path holds `path` with something, as if all were well."""
        self._faults.append(Fault(path, times, 200, content=content))

    def cut(self, path: str, keep_bytes: int, times: int = 1) -> None:
        """Cut the connection in the middle of a file."""
        self._faults.append(Fault(path, times, keep_bytes=keep_bytes))

    def corrupt(self, path: str, content: bytes, times: int = 1) -> None:
        """Send something else in place of a file."""
        self._faults.append(Fault(path, times, content=content))

    def slow_down(self, path: str, seconds: float, times: int = 1) -> None:
        """Send half of a file, and the rest later."""
        self._faults.append(Fault(path, times, seconds=seconds))

    def count(self, what: str) -> int:
        """How many requests held a text."""
        return sum(what in request for request in self.requests)

    def repository(self, name: str) -> Repository | None:
        return self._repositories.get(name)

    def by_author(self, author: str, search: str) -> list[Repository]:
        return [
            one
            for name, one in sorted(self._repositories.items())
            if name.startswith(f"{author}/") and search.lower() in name.lower() and not one.private
        ]

    def large(self, sha256: str) -> bytes | None:
        """A large file by its hash."""
        for one in self._repositories.values():
            for files in one.commits.values():
                for data in files.values():
                    if hashlib.sha256(data).hexdigest() == sha256:
                        return data
        return None

    def fault(self, path: str, kind: str) -> Fault | None:
        """Take the next fault for a request, if there is one of this kind."""
        with self._lock:
            for fault in self._faults:
                fits = bool(fault.status) == (kind == "status")
                if fits and fault.times and fault.path in path:
                    fault.times -= 1
                    return fault
        return None


def is_large(path: str) -> bool:
    return path.endswith(LARGE_FILES)


def pointer(data: bytes) -> bytes:
    """What git holds in place of a large file."""
    return (
        "version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{hashlib.sha256(data).hexdigest()}\nsize {len(data)}\n"
    ).encode()


def blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def listed(path: str, data: bytes) -> dict[str, Any]:
    """A file as the tree lists it."""
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(data)}
    if not is_large(path):
        return entry | {"oid": blob(data)}
    large = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return entry | {"oid": blob(pointer(data)), "lfs": large | {"pointerSize": len(pointer(data))}}


def hub_file(path: str, data: bytes) -> HubFile:
    """A file as the client is to see it."""
    sha256 = hashlib.sha256(data).hexdigest() if is_large(path) else ""
    return HubFile(path, len(data), listed(path, data)["oid"], sha256)


_API = re.compile(
    r"/api/datasets/(?P<name>[^/]+/[^/]+)(?:/(?P<what>revision|tree|paths-info)/(?P<rest>.+))?"
)
_RESOLVE = re.compile(r"/datasets/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        self.hub.requests.append(f"{self.command} {path}")
        if "Authorization" in self.headers:
            self.hub.with_token.add(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.hub.fault(f"{self.command} {path}", "status")
        if fault is not None:
            content = b'{"error":"as ordered"}' if fault.content is None else fault.content
            self.send(fault.status, content, dict(fault.headers))
            return
        try:
            if path == "/api/datasets":
                self.answer_author(parse_qs(url.query))
            elif match := _RESOLVE.fullmatch(path):
                self.answer_file(match["name"], match["revision"], match["path"])
            elif path.startswith("/large/"):
                data = self.hub.large(path.removeprefix("/large/"))
                self.send_content(data or b"", {})
            elif match := _API.fullmatch(path):
                self.answer_api(match, parse_qs(url.query), body)
            else:
                self.send(404, b"not found", {})
        except _RefusedError as refused:
            headers = {"X-Error-Message": refused.message}
            if refused.code:
                headers["X-Error-Code"] = refused.code
            self.send(refused.status, json.dumps({"error": refused.message}).encode(), headers)

    def token(self) -> str | None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if given and given not in self.hub.tokens:
            raise _RefusedError(401, "", "Invalid credentials in Authorization header")
        return given or None

    def found(self, name: str) -> Repository:
        """The repository, if whoever asks may know of it."""
        token, repository = self.token(), self.hub.repository(name)
        if repository is None or (repository.private and token not in repository.members):
            if token is None:
                raise _RefusedError(401, "", "Invalid username or password.")
            raise _RefusedError(404, "RepoNotFound", "Repository not found")
        return repository

    def commit(self, repository: Repository, revision: str) -> str:
        commit = repository.at(revision)
        if commit is None:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit

    def answer_author(self, query: Mapping[str, list[str]]) -> None:
        self.token()
        found = self.hub.by_author(query["author"][0], query.get("search", [""])[0])
        found = found[: int(query.get("limit", ["1000"])[0])]
        rows = [{"id": one.name, "sha": one.head, "gated": one.gated} for one in found]
        self.send(200, json.dumps(rows).encode(), {})

    def answer_api(self, match: re.Match[str], query: Mapping[str, list[str]], body: bytes) -> None:
        repository = self.found(match["name"])
        revision, _, path = (match["rest"] or "main").partition("/")
        commit = self.commit(repository, revision)
        files = repository.commits[commit]
        if match["what"] == "tree":
            self.answer_tree(files, path, query)
        elif match["what"] == "paths-info":
            try:
                wanted = json.loads(body)["paths"]
            except ValueError:
                wanted = parse_qs(body.decode())["paths"]
            rows = [listed(one, files[one]) for one in wanted if one in files]
            self.send(200, json.dumps(rows).encode(), {})
        else:
            facts = {
                "id": repository.name,
                "sha": commit,
                "gated": "auto" if repository.gated else False,
                "private": repository.private,
                "siblings": [{"rfilename": one} for one in files],
            }
            if "expand" in query:
                facts = {name: facts[name] for name in ("id", *query["expand"])}
            self.send(200, json.dumps(facts).encode(), {})

    def answer_tree(
        self, files: Mapping[str, bytes], folder: str, query: Mapping[str, list[str]]
    ) -> None:
        inside = {
            path: data
            for path, data in sorted(files.items())
            if not folder or path.startswith(f"{folder}/")
        }
        if folder and not inside:
            raise _RefusedError(404, "EntryNotFound", f"{folder} does not exist")
        rows = [listed(path, data) for path, data in inside.items()]
        rows += [
            {"type": "directory", "path": one, "size": 0, "oid": blob(one.encode())}
            for one in sorted({path.rpartition("/")[0] for path in inside} - {""})
        ]
        first = int(query.get("cursor", ["0"])[0])
        headers = {}
        if first + TREE_PAGE < len(rows):
            here = f"{self.hub.url}{urlsplit(self.path).path}"
            headers["Link"] = f'<{here}?recursive=true&cursor={first + TREE_PAGE}>; rel="next"'
        page = rows[first : first + TREE_PAGE]
        self.send(200, json.dumps(page).encode(), headers)

    def answer_file(self, name: str, revision: str, path: str) -> None:
        repository = self.found(name)
        commit = self.commit(repository, revision)
        if repository.gated and (token := self.token()) not in repository.members:
            page = f"{self.hub.url}/datasets/{name}"
            if token is None:
                message = (
                    f"Access to dataset {name} is restricted. You must have access to it and be "
                    f"authenticated to access it. Please log in."
                )
                raise _RefusedError(401, "GatedRepo", message)
            message = (
                f"Access to dataset {name} is restricted and you are not in the authorized list. "
                f"Visit {page} to ask for access."
            )
            raise _RefusedError(403, "GatedRepo", message)
        data = repository.commits[commit].get(path)
        headers = {"X-Repo-Commit": commit}
        if data is None:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        if is_large(path):
            digest = hashlib.sha256(data).hexdigest()
            headers |= {
                # On another host than the hub, so that no token goes there.
                "Location": f"{self.hub.url}/large/{digest}".replace("127.0.0.1", "localhost"),
                "X-Linked-Size": str(len(data)),
                "X-Linked-ETag": f'"{digest}"',
                "ETag": f'"{blob(pointer(data))}"',
            }
            self.send(302, b"Found. Redirecting", headers)
            return
        self.send_content(data, headers | {"ETag": f'"{blob(data)}"'})

    def send_content(self, data: bytes, headers: dict[str, str]) -> None:
        fault = None
        if self.command == "GET":
            fault = self.hub.fault(f"GET {unquote(self.path)}", "content")
        if fault is not None and fault.content is not None:
            data = fault.content
        status, first = 200, 0
        headers = {**headers, "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted:
            first, last = int(wanted[1]), int(wanted[2] or len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            status, data = 206, data[first : last + 1]
        self.send(status, data, headers, fault)

    def send(
        self, status: int, body: bytes, headers: Mapping[str, str], fault: Fault | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            # As the hub does: a path in a header is in percent-encoding.
            self.send_header(name, quote(value, safe=" \"'<>:/?&=;,.()%_-"))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Request-Id", "Root=1-loopback")
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is not None and fault.keep_bytes is not None:
            self.wfile.write(body[: fault.keep_bytes])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        half = len(body) // 2
        self.wfile.write(body[:half])
        if fault is not None and fault.seconds:
            self.wfile.flush()
            time.sleep(fault.seconds)
        with suppress(ConnectionError):
            self.wfile.write(body[half:])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """Serve a hub while the block runs."""
    hub = HubServer()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def hub_environment(hub: HubServer, home: object, token: str | None = None) -> dict[str, str]:
    """Environment variables for a process that is to use this hub.

    A process of its own, since the hub's client reads them when it is imported.
    """
    environment = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
    }
    return environment | ({"HF_TOKEN": token} if token else {})
