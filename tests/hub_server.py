"""A server in this process that speaks what huggingface_hub asks for: create, commit, list and resolve."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c" * 40
Repos = dict[str, dict[str, bytes]]


class _Hub(BaseHTTPRequestHandler):
    repos: Repos

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/api/repos/create":
            name = json.loads(content)["name"]
            owner = json.loads(content).get("organization") or "owner"
            self.repos.setdefault(f"{owner}/{name}", {})
            self._json({"url": f"http://{self.headers['Host']}/{owner}/{name}", "name": f"{owner}/{name}"})
        elif "/preupload/" in self.path:
            files = json.loads(content)["files"]
            self._json({"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]})
        elif match := re.match(r"/api/models/(\S+?/\S+?)/commit/", self.path):
            for line in map(json.loads, content.splitlines()):
                if line["key"] == "file":
                    self.repos[match[1]][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self._json(
                {
                    "commitUrl": f"http://{self.headers['Host']}/{match[1]}/commit/{COMMIT}",
                    "commitOid": COMMIT,
                    "success": True,
                }
            )
        else:  # validate-yaml
            self._json({})

    def do_GET(self) -> None:
        if (match := re.match(r"/api/models/(\S+?/[^/?\s]+)", self.path)) and match[1] not in self.repos:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif match and "/tree/" in self.path:
            self._json(
                [
                    {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for path, data in self.repos[match[1]].items()
                ]
            )
        elif match:
            self._json({"id": match[1], "sha": COMMIT, "siblings": [{"rfilename": n} for n in self.repos[match[1]]]})
        else:
            self._resolve()

    do_HEAD = do_GET

    def _resolve(self) -> None:
        match = re.match(r"/(\S+?/\S+?)/resolve/[^/]+/(\S+)", self.path)
        data = self.repos.get(match[1], {}).get(match[2]) if match else None
        if data is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            self._send(200, data, {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'})

    def _json(self, content: Any) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def _send(self, code: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def hub() -> Iterator[tuple[str, Repos]]:
    """The server's address, for ``HF_ENDPOINT``, and what it stores: bytes by repository and path."""
    repos: Repos = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (_Hub,), {"repos": repos}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", repos
    finally:
        server.shutdown()
        server.server_close()
