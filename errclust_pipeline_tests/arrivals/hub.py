"""A server that answers like the Hugging Face hub, for one dataset in a local folder."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlparse


@contextmanager
def hub_with(dataset: str, folder: Path) -> Iterator[str]:
    """Serve a folder as a dataset while the block runs; yields the hub's address."""

    def commit() -> str:
        content = [(path.name, path.read_bytes()) for path in sorted(folder.rglob("*.csv"))]
        return hashlib.sha1(repr(content).encode()).hexdigest()

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(head=True)

        def do_GET(self) -> None:
            self.answer()

        def answer(self, head: bool = False) -> None:
            path = unquote(urlparse(self.path).path)
            api = f"/api/datasets/{dataset}"
            if path in (api, f"{api}/revision/main", f"{api}/revision/{commit()}"):
                self.send(json.dumps({"id": dataset, "sha": commit(), "siblings": []}).encode())
            elif path.startswith(f"{api}/tree/"):
                self.send(json.dumps(self.tree()).encode())
            elif path.startswith(f"/datasets/{dataset}/resolve/"):
                name = path.removeprefix(f"/datasets/{dataset}/resolve/").split("/", 1)[1]
                self.send((folder / name).read_bytes(), head)
            else:
                self.send(b"{}", status=404)

        def tree(self) -> list[dict[str, object]]:
            return [
                {
                    "type": "file",
                    "path": str(path.relative_to(folder)),
                    "size": path.stat().st_size,
                    "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
                }
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            ]

        def send(self, body: bytes, head: bool = False, status: int = 200) -> None:
            wanted = self.headers.get("Range")
            if wanted and status == 200 and body:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                end = min(int(last or len(body) - 1), len(body) - 1)
                total, body, status = len(body), body[int(first) : end + 1], 206
                ranges = f"bytes {first}-{end}/{total}"
            else:
                ranges = ""
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Repo-Commit", commit())
            self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
            if ranges:
                self.send_header("Content-Range", ranges)
            self.end_headers()
            if not head:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
