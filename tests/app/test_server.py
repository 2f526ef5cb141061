"""What the page's server hands out, and what it refuses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jdrl_lightning import UserError
from jdrl_lightning.app.server import listen

Call = Callable[..., str]


def status(url: str, **request: Any) -> int:
    try:
        return int(urllib.request.urlopen(urllib.request.Request(url, **request), timeout=60).status)
    except urllib.error.HTTPError as error:
        return error.code


def test_files_outside_the_page_s_folder_are_refused(served: str, settings: Any, tmp_path: Path, call: Call) -> None:
    secrets = [tmp_path / "secret.png", settings.runs / "secret.csv", Path(__file__)]
    for file in secrets[:2]:
        file.write_text("secret")
    for path in (*map(str, secrets), "/etc/hostname", f"{settings.runs}/../runs/secret.csv"):
        assert status(f"{served}/gradio_api/file={urllib.parse.quote(path)}") == 403
    outside = {"path": str(secrets[0]), "meta": {"_type": "gradio.FileData"}}
    answer = call(outside, "shipped", "", False, 100)
    assert "event: error" in answer
    assert "restored" not in answer


def test_nothing_is_fetched_for_a_visitor(served: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    known = socket.getaddrinfo

    def watched(host: Any, *rest: Any, **more: Any) -> Any:
        looked_up.append(str(host))
        return known("127.0.0.1", *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", watched)
    address = "http://photographs.invalid/photo.png"
    for path in (f"file={address}", f"proxy={address}", f"file=HTTP://{address[7:]}"):
        assert status(f"{served}/gradio_api/{path}") in (400, 403, 404)
    answer = call({"path": address, "meta": {"_type": "gradio.FileData"}}, "shipped", "", False, 100)
    assert "event: error" in answer
    assert not [host for host in looked_up if "photographs" in host]


def test_an_unknown_network_is_refused(call: Call) -> None:
    for name in ("run ../../elsewhere", "weights nafnet", "run "):
        assert "event: error" in call(None, name, "", False, 100)


def test_a_file_above_the_limit_is_refused(served: str, settings: Any) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    body += bytes(settings.upload_mb * 10**6 + 1) + b"\r\n--x--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert status(f"{served}/gradio_api/upload", data=body, headers=kind, method="POST") == 413


def test_the_page_may_load_nothing_from_elsewhere(served: str) -> None:
    answer = urllib.request.urlopen(served, timeout=20)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "fonts.googleapis.com" not in answer.read().decode()


def test_another_site_s_name_for_this_computer_is_refused(served: str) -> None:
    assert status(served, headers={"Host": f"elsewhere.invalid:{urllib.parse.urlsplit(served).port}"}) == 403
    assert status(served.replace("127.0.0.1", "localhost")) == 200


def test_a_port_that_is_taken_is_one_line() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"port={port}: cannot be used .*; give another port=…"):
            listen("127.0.0.1", port)


def test_without_gradio_one_line_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, *rest: None if name == 'gradio' else find(name, *rest);"
        "import jdrl_lightning.app.__main__ as app; sys.argv = ['app']; app.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "error: the app needs Gradio: pip install 'jdrl_lightning[app]'\n"
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="the extra app is not installed")
    (tmp_path / "temporary").mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "jdrl_lightning.app", "port=0"],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path / "temporary")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background job ignores it
    ) as running:  # fmt: skip
        try:
            assert running.stdout is not None
            address = running.stdout.readline().split()[0]
            assert status(address) == 200
            assert any((tmp_path / "temporary").iterdir())
            running.send_signal(signal.SIGINT)
            assert running.wait(timeout=60) == 130
        finally:
            running.kill()
    assert list((tmp_path / "temporary").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("pairs=nowhere", "pairs=nowhere: no such folder"),
        ("megapixels=0", "megapixels=0: must be above 0"),
        ("+weights.nafnet64=nothing.pth", "weights.nafnet64=nothing.pth: no such file"),
    ],
)
def test_wrong_settings_are_one_line(setting: str, line: str, tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="the extra app is not installed")
    command = [sys.executable, "-m", "jdrl_lightning.app", setting]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, f"error: {line}\n")
