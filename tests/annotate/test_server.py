"""`wsis label`: who may ask, what is answered, and that a sudden end loses nothing."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.annotate.folder import make_folder
from wsislib.annotate.desk import Desk
from wsislib.annotate.label_file import LabelFile
from wsislib.annotate.server import MOST_BYTES, LabelServer
from wsislib.commands.label import label_folder

ROOT = Path(__file__).resolve().parents[2]
POINT = {"do": "add", "category": 1, "point": [5, 5]}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabelServer]:
    images = make_folder(tmp_path / "images")
    with LabelServer(Desk(LabelFile(tmp_path / "labels.json", images, ["rose"]))) as one:
        thread = threading.Thread(target=one.serve_forever, daemon=True)
        thread.start()
        yield one
        one.shutdown()
        thread.join()


def ask(port: int, path: str, body: bytes | None = None, **headers: str):
    """Status, headers and content of an answer; header names with _ for -."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    connection.request("GET" if body is None else "POST", path, body, named)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def send(port: int, token: str, message) -> tuple[int, dict]:
    body = json.dumps(message).encode()
    status, _, content = ask(port, "/message", body, X_Token=token, Content_Type="application/json")
    return status, json.loads(content) if status == 200 else {}


def test_the_page_asks_nothing_of_others(server):
    status, headers, content = ask(server.server_port, f"/?token={server.token}")
    assert status == 200 and b"http" not in content
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "http" not in policy
    assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
    for path in ("/page.js", "/label.css"):
        status, _, content = ask(server.server_port, path)
        addresses = set(re.findall(rb"https?://[^\s\"'`)]+", content))
        assert status == 200 and addresses <= {b"http://www.w3.org/2000/svg"}


def test_a_message_changes_the_file_and_comes_back_as_a_view(server):
    status, answer = send(server.server_port, server.token, POINT)
    assert status == 200 and answer["view"]["entries"][0]["point"] == [5, 5]
    assert json.loads(server.desk.labels.path.read_text())["drafts"]
    _, _, content = ask(server.server_port, "/begin", X_Token=server.token)
    begin = json.loads(content)
    assert begin["files"] == ["a.png", "b.png", "c.png"] and begin["view"] == answer["view"]
    for path in ("picture/1", "thumbnail/2"):
        status, headers, content = ask(server.server_port, f"/{path}", X_Token=server.token)
        assert (
            status == 200 and headers["Content-Type"] == "image/jpeg" and content[:2] == b"\xff\xd8"
        )


@pytest.mark.parametrize("path", ["/", "/begin", "/picture/0", "/thumbnail/0", "/nothing"])
def test_without_the_token_nothing_is_answered(server, path):
    for token in ("", "x", server.token[:-1]):
        status, _, content = ask(server.server_port, path, X_Token=token)
        assert status == 403 and content == b"open the address that `wsis label` printed"


@pytest.mark.parametrize(
    "wrong",
    [
        {"Host": "evil.example:80"},  # a name that was made to point to this machine
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:1"},  # another program's page on this machine
        {"Origin": "null"},
        {"X_Token": "guessed"},
    ],
)
def test_a_page_of_another_site_changes_nothing(server, wrong):
    right = {"X_Token": server.token, "Content_Type": "application/json"}
    body = json.dumps(POINT).encode()
    assert ask(server.server_port, "/message", body, **{**right, **wrong})[0] == 403
    assert not server.desk.labels.path.exists()


def test_its_own_page_may(server):
    host = f"localhost:{server.server_port}"
    right = {"X_Token": server.token, "Content_Type": "application/json"}
    own = {"Host": host, "Origin": f"http://{host}"}
    assert ask(server.server_port, "/message", b'{"do": "undo"}', **right, **own)[0] == 200


@pytest.mark.parametrize(
    "path", ["/../labels.json", "/picture/../../x", "/picture/9", "/picture/-1", "/%2e%2e/x",
             "/picture/" + "9" * 5000, "/thumbnail/", "/page/label.js", "//etc/passwd"],
)  # fmt: skip
def test_only_images_of_the_folder_are_served(server, path):
    assert ask(server.server_port, path, X_Token=server.token)[0] == 404


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"{}", "text/plain", 404),  # what a form of another site can send unasked
        (b"{}", "application/json", 200),
    ],
)
def test_a_message_that_is_none_is_refused(server, body, kind, status):
    got = ask(server.server_port, "/message", body, X_Token=server.token, Content_Type=kind)[0]
    assert got == status


def test_a_message_too_long_is_not_read(server):
    headers = {"X_Token": server.token, "Content_Type": "application/json"}
    for length in (str(MOST_BYTES + 1), "9" * 30, "-5", "many"):
        assert ask(server.server_port, "/message", b"", Content_Length=length, **headers)[0] == 413


def test_an_unreadable_image_is_no_end(server):
    (server.desk.labels.image_root / "b.png").write_bytes(b"no picture")
    assert ask(server.server_port, "/picture/1", X_Token=server.token)[0] == 404
    _, answer = send(server.server_port, server.token, {"do": "go", "to": 1})
    assert "b.png: not an image" in answer["view"]["message"]


def test_a_link_out_of_the_folder_is_not_followed(server, tmp_path):
    secret = make_folder(tmp_path / "secret", 1) / "a.png"
    (server.desk.labels.image_root / "c.png").unlink()
    os.symlink(secret, server.desk.labels.image_root / "c.png")
    assert ask(server.server_port, "/picture/2", X_Token=server.token)[0] == 404
    _, answer = send(server.server_port, server.token, {"do": "go", "to": "c.png"})
    assert "c.png" in answer["view"]["message"] and answer["view"]["width"] == 0


@pytest.mark.parametrize("port", [None, 70_000])
def test_a_port_that_cannot_be_had_is_one_clear_error(server, port):
    with pytest.raises(ValueError, match=r"port \d+ cannot be had"):
        LabelServer(server.desk, port or server.server_port)


def started(*words: str) -> tuple[subprocess.Popen, int, str, list[str]]:
    """The command, its port and token, and what it said before."""
    command = [sys.executable, "-m", "wsislib.cli", "label", *words, "--no-browser"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    said: list[str] = []
    for line in child.stdout:
        found = re.match(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", line)
        if found:
            return child, int(found[1]), found[2], said
        said.append(line)
    raise AssertionError(said)


def test_what_was_done_outlives_a_kill(tmp_path):
    """Labels and what was decided of proposals: all that was answered is in the file."""
    images = make_folder(tmp_path / "images")
    results = [
        {"image_id": 1, "category_id": 1, "score": 0.9, "bbox": [x, 1, 5, 5]} for x in (1, 9, 20)
    ]
    predicted = {
        "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "rose"}],
        "annotations": results,
    }
    (tmp_path / "p.json").write_text(json.dumps(predicted))
    words = (str(images), "--predictions", str(tmp_path / "p.json"))
    child, port, token, said = started(*words)
    assert "3 proposals" in said[0] and "3 images, 0 finished" in said[1]
    for message in ({"do": "remove", "entry": 1}, {"do": "accept", "entry": 2}, POINT):
        status, answer = send(port, token, message)
        assert status == 200 and answer["view"]["message"] == ""
    child.kill()
    child.wait()
    child.stdout.close()
    labels = LabelFile(tmp_path / "labels.json", images)
    work = labels.work("a.png")
    assert [entry["id"] for entry in work.entries] == [2, 4] and not labels.finished("a.png")
    assert [proposal["id"] for proposal in work.proposals] == [3]
    child, _, _, said = started(*words)
    assert "1 proposals still wait" in said[0]
    child.send_signal(signal.SIGINT)
    assert child.wait(30) == 0 and "0 of 3 finished" in child.stdout.read()
    child.stdout.close()


@pytest.mark.parametrize(
    ("name", "file"), [("images", "labels.json"), ("mine", "mine/labels.json")]
)
def test_the_labels_lie_where_the_other_commands_look(tmp_path, monkeypatch, name, file):
    folder = make_folder(tmp_path / name)
    opened = []
    monkeypatch.setattr(LabelServer, "serve_forever", lambda self: opened.append(self.desk))
    assert label_folder(folder, names=("rose",), browser=False) == 0
    assert opened[0].labels.path == tmp_path / file
