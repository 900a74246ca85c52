"""The labelling page in a browser, served to this machine alone: `wsis label`.

Nothing is fetched from elsewhere. Whoever asks must know the token of the address that the command
prints, and must ask by the name of this machine: a page of another site, even one whose name has
been made to point here, gets nothing.
"""

from __future__ import annotations

import hmac
import json
import secrets
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from wsislib.annotate.desk import Desk
from wsislib.annotate.page_files import page_file, page_script

HERE = ("127.0.0.1", "localhost")
MOST_BYTES = 2**24  # of a message; the longest outline that is read has 200,000 corners
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class LabelServer(ThreadingHTTPServer):
    """Serves one desk; `address` is what a browser opens."""

    daemon_threads = True

    def __init__(self, desk: Desk, port: int = 0) -> None:
        """Listen at a port of this machine, any free one for 0; ValueError where it is taken."""
        try:
            super().__init__((HERE[0], port), _Handler)
        except (OSError, OverflowError) as error:
            raise ValueError(f"port {port} cannot be had ({error}); give another, or 0") from None
        self.desk, self.lock = desk, Lock()
        self.token = secrets.token_urlsafe(24)
        self.address = f"http://{HERE[0]}:{self.server_port}/?token={self.token}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds that an idle connection is kept
    # An answer goes out whole and at once; in parts, each waits some 40 ms for the one before.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: LabelServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        what, _, number = url.path[1:].partition("/")
        if not self._allowed(url.query, secret=url.path not in ("/page.js", "/label.css")):
            return
        if url.path == "/":
            self._send(page_file("index.html").encode(), "text/html; charset=utf-8")
        elif url.path == "/page.js":
            self._send((page_script() + page_file("browser.js")).encode(), "text/javascript")
        elif url.path == "/label.css":
            self._send(page_file("label.css").encode(), "text/css")
        elif url.path == "/begin":
            desk = self.server.desk
            with self.server.lock:
                begin = {"view": desk.view(), "files": desk.labels.files}
            self._send_json(begin)
        elif what in ("picture", "thumbnail") and number.isdecimal() and len(number) < 10:
            self._send_picture(what, int(number))
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        if not self._allowed(url.query):
            return
        length = self.headers.get("Content-Length", "")
        if url.path != "/message" or self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.NOT_FOUND)
        elif not length.isdecimal() or int(length[:12]) > MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            self._answer(self.rfile.read(int(length)))

    def _answer(self, content: bytes) -> None:
        try:
            message = json.loads(content)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        with self.server.lock:
            self.server.desk.receive(message)
            view = self.server.desk.view()
        self._send_json({"view": view})

    def _send_picture(self, what: str, index: int) -> None:
        desk = self.server.desk
        try:
            name = desk.labels.files[index]
            small = what == "thumbnail"
            jpeg = desk.pictures.thumbnail(name) if small else desk.pictures.picture(name).jpeg
        except (IndexError, ValueError, OSError):
            self._refuse(HTTPStatus.NOT_FOUND)  # the view says why
        else:
            self._send(jpeg, "image/jpeg")

    def _allowed(self, query: str, secret: bool = True) -> bool:
        """Whether the request is from the page; answers it where it is not."""
        host = self.headers.get("Host", "")
        ours = host.rpartition(":")[0] in HERE and self.headers.get("Origin") in (
            None,
            f"http://{host}",
        )
        given = parse_qs(query).get("token", [self.headers.get("X-Token", "")])[0]
        known = hmac.compare_digest(given.encode(), self.server.token.encode())
        if ours and (known or not secret):
            return True
        self._refuse(HTTPStatus.FORBIDDEN, "open the address that `wsis label` printed")
        return False

    def _refuse(self, status: HTTPStatus, why: str = "") -> None:
        self.close_connection = True  # what was sent along is not read
        self._send((why or status.phrase).encode(), "text/plain", status)

    def _send_json(self, value: Any) -> None:
        self._send(json.dumps(value).encode(), "application/json")

    def _send(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        for key, value in _HEADERS.items():
            self.send_header(key, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: the address of each request holds the token."""
