"""The right ngrok is found, asked for its version, or fetched; its settings are read first."""

from __future__ import annotations

import io
import os
import signal
import ssl
import tarfile
import threading
import urllib.request
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError

import pytest
from fake_ngrok.place import wait_for
from pyngrok import installer

from smsquest_cli.problems import TunnelError
from smsquest_cli.tunnel.agent_config import agent_folder, read_config
from smsquest_cli.tunnel.binary import SMALLEST, Binary, download, examine, find

PYNGROKS_COMMAND = (
    b"#!/usr/bin/python3\nimport sys\nfrom pyngrok.ngrok import main\nsys.exit(main())"
)


def make_program(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o755)
    return str(path)


def make_agent(path):
    """Something as big as an agent; it cannot be run."""
    made = make_program(path, b"\x7fELF")
    os.truncate(path, SMALLEST)
    return made


def script(tmp_path, text):
    return make_program(tmp_path / "ngrok", f"#!/bin/sh\n{text}\n".encode())


def test_the_agent_on_the_path_is_found_behind_wrappers(tmp_path):
    """A virtual environment has pyngrok's ngrok and npm a small one; ending one ends no agent."""
    for folder, content in {
        "venv": PYNGROKS_COMMAND,
        "npm": b"#!/usr/bin/env node",
        "s": b"",
    }.items():
        make_program(tmp_path / folder / "ngrok", content)
    agent = make_agent(tmp_path / "bin" / "ngrok")
    search_path = os.pathsep.join(
        ["", *(str(tmp_path / name) for name in ("venv", "npm", "s", "bin"))]
    )

    assert find(None, search_path=search_path, folder=tmp_path) == agent


def test_the_one_that_was_fetched_before_is_found_last(tmp_path):
    """It lies where pyngrok keeps it, beside the agent's settings."""
    assert find(None, search_path=None, folder=tmp_path) is None
    make_agent(tmp_path / "ngrok")

    assert find(None, search_path="", folder=tmp_path) == str(tmp_path / "ngrok")


def test_a_given_path_wins_and_must_be_an_agent(tmp_path, monkeypatch):
    """PYNGROK_NGROK_PATH may be a script, but not pyngrok's own, which would start itself."""
    monkeypatch.setenv("HOME", str(tmp_path))
    own = make_program(tmp_path / "own", b"#!/bin/sh\n")
    make_program(tmp_path / "venv" / "ngrok", PYNGROKS_COMMAND)

    assert find("~/own", search_path="", folder=tmp_path) == own
    with pytest.raises(TunnelError, match=r"T16: .*gone.* there is no such file"):
        find(str(tmp_path / "gone"), search_path="", folder=tmp_path)
    with pytest.raises(TunnelError, match="that is pyngrok's command, not the agent"):
        find("ngrok", search_path=str(tmp_path / "venv"), folder=tmp_path)


@pytest.mark.parametrize(
    ("version", "has_endpoints"),
    [("3.0.0", False), ("3.29.9", False), ("3.30.0-beta", True), ("3.39.6", True), ("4.1", True)],
)
def test_the_version_decides_on_the_api(tmp_path, version, has_endpoints):
    """Before 3.30 there is no /api/endpoints."""
    path = script(tmp_path, f"echo ngrok version {version}")

    binary = examine(path, timeout=20)

    assert binary == Binary(path, version)
    assert binary.has_endpoints is has_endpoints


@pytest.mark.parametrize(
    ("text", "id_", "part"),
    [
        (
            "echo ngrok version 2.3.41",
            "T3",
            "ngrok agent 2.3.41 is too old (3.0 or later is needed)",
        ),
        ("kill -9 $$", "T10", "antivirus"),
        ("echo wrong >&2; exit 3", "T16", "cannot be used as the ngrok agent: wrong."),
        ("exit 3", "T16", "`ngrok version` ended with 3"),
        ("exec sleep 60", "T16", "no answer to `ngrok version` in 1 s"),
    ],
)
def test_what_is_no_usable_agent(tmp_path, text, id_, part):
    """Each has its reason, and none is waited for longer than asked."""
    with pytest.raises(TunnelError) as caught:
        examine(script(tmp_path, text), timeout=1 if "sleep" in text else 20)

    assert (caught.value.id, part in caught.value.line) == (id_, True), caught.value.line


def test_what_the_system_does_not_run(tmp_path):
    """Not executable, made for another computer, or gone since it was found."""
    plain = tmp_path / "plain"
    plain.write_text("")
    for path, id_, part in (
        (str(plain), "T16", "permission denied"),
        (make_agent(tmp_path / "arm"), "T16", "exec format error"),
        (str(tmp_path / "gone"), "T10", "quarantined"),
    ):
        with pytest.raises(TunnelError) as caught:
            examine(path, timeout=20)
        assert (caught.value.id, part in caught.value.line) == (id_, True), caught.value.line


class Shop:
    """A server that has one file, and may do something while it is fetched."""

    def __init__(self, monkeypatch, name, content, midway=lambda: None):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                midway()
                self.wfile.write(content[len(content) // 2 :])

            def log_message(self, *args):
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                """Say nothing: who went away had a reason."""

        self.server = Server(("127.0.0.1", 0), Handler)
        url = f"http://127.0.0.1:{self.server.server_address[1]}/{name}"
        monkeypatch.setattr(installer, "get_ngrok_cdn_url", lambda _version: url)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def packed(kind, name="ngrok", content=b"#!/bin/sh\necho ngrok version 3.39.6\n"):
    out = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(out, "w") as zipped:
            zipped.writestr(name, content)
    else:
        with tarfile.open(fileobj=out, mode="w:gz") as tarred:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tarred.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("kind", ["tgz", "zip"])
def test_the_agent_is_fetched_once_and_can_be_run(tmp_path, monkeypatch, capfd, kind):
    """What takes long is said, and nothing of it on standard output."""
    said = []
    with Shop(monkeypatch, f"ngrok.{kind}", packed(kind)):
        path = download(tmp_path / "new", say=said.append)

    assert examine(path, timeout=20).version == "3.39.6"
    assert find(None, search_path="", folder=tmp_path / "new") == path
    assert said == [f"downloading ngrok once, to {path} …"]
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "ngrok"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ngrok.tgz", b"<html>sign in</html>"),
        ("ngrok.zip", b"PK"),
        ("ngrok.tgz", packed("tgz", "readme")),
        ("ngrok.tgz", packed("tgz")[:60]),
    ],
    ids=["a page", "half a zip", "no agent in it", "half a tar"],
)
def test_a_broken_download_leaves_nothing(tmp_path, monkeypatch, name, content):
    """A login page, half an archive, an archive of something else: T9, and no half agent."""
    with (
        Shop(monkeypatch, name, content),
        pytest.raises(TunnelError, match="T9: could not download ngrok"),
    ):
        download(tmp_path, say=lambda _line: None)

    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_fetching_leaves_nothing(tmp_path, monkeypatch):
    """E8: the part that came is removed."""
    stop = threading.Event()

    def press():
        wait_for(lambda: [p for p in tmp_path.rglob("*.tgz") if p.stat().st_size])
        os.kill(os.getpid(), signal.SIGINT)
        stop.wait(20)

    with Shop(monkeypatch, "ngrok.tgz", packed("tgz", content=os.urandom(1 << 20)), press):
        with pytest.raises(KeyboardInterrupt):
            download(tmp_path, say=lambda _line: None)
        stop.set()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("reason", "id_", "part"),
    [
        (
            "unable to get local issuer certificate",
            "T9",
            "(unable to get local issuer certificate)",
        ),
        ("certificate is not yet valid", "T13", "clock is off (20"),
    ],
)
def test_a_certificate_that_is_not_trusted(tmp_path, monkeypatch, reason, id_, part):
    """TLS inspection in a company, or a wrong clock."""
    error = ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED")
    error.verify_message = reason

    def fail(*_args, **_kwargs):
        raise URLError(error)

    monkeypatch.setattr(urllib.request, "urlopen", fail)
    with pytest.raises(TunnelError) as caught:
        download(tmp_path, say=lambda _line: None)

    assert (caught.value.id, part in caught.value.line) == (id_, True), caught.value.line


def test_the_folder_of_the_agent(tmp_path, monkeypatch):
    """A variable that is set to nothing counts as unset."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for value, expected in (("", tmp_path / ".config"), (str(tmp_path / "x"), tmp_path / "x")):
        monkeypatch.setenv("XDG_CONFIG_HOME", value)

        assert agent_folder() == expected / "ngrok"


def test_a_system_without_an_agent(monkeypatch):
    """On it, pyngrok does not know where anything would be."""
    monkeypatch.setattr("platform.system", lambda: "Plan9")

    with pytest.raises(TunnelError, match=r'T16: ngrok cannot .*"plan9" is not a supported system'):
        agent_folder()


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("", None),
        ("version: 3\n", None),
        ("version: 3\nagent:\n  authtoken: abc\n", "abc"),
        ("version: '2'\nauthtoken: 123\n", "123"),
    ],
)
def test_the_authtoken_in_the_users_settings(tmp_path, text, token):
    """Both versions of the file have a place for it."""
    (tmp_path / "ngrok.yml").write_text(text)

    config = read_config(tmp_path)

    assert (config.exists, config.token) == (True, token)
    assert config.for_agent(tmp_path / "home", has_endpoints=True) == tmp_path / "ngrok.yml"
    assert "abc" not in repr(config)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version: 3\nagent:\n  log_level: warn\n", '"log_level" must be "info"'),
        ("version: 2\nlog_format: json\n", '"log_format" must be "term"'),
        ("version: 3\nagent:\n  web_addr: false\n", '"web_addr" cannot be False'),
        ("authtoken: 'secret\n", "it cannot be read (line 2)"),
        ("- secret\n", "it cannot be read"),
        ("version: 3\nagent:\n", "it cannot be read"),
    ],
)
def test_settings_that_stand_in_the_way(tmp_path, text, reason):
    """T20 names the file and what is wrong in it, without quoting it."""
    (tmp_path / "ngrok.yml").write_text(text)

    with pytest.raises(TunnelError, match="T20") as caught:
        read_config(tmp_path)

    assert f"{tmp_path / 'ngrok.yml'}: {reason}" in caught.value.line
    assert "secret" not in caught.value.line


def test_settings_that_may_not_be_read(tmp_path):
    """A folder in place of the file is as good as any example."""
    (tmp_path / "ngrok.yml").mkdir()

    with pytest.raises(TunnelError, match=r"T20: .* is a directory"):
        read_config(tmp_path)
