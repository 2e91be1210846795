#!/usr/bin/env python3
"""A stand-in for the ngrok v3 agent, for tests that cannot reach the ngrok cloud.

pyngrok drives it unmodified: it takes the command lines that pyngrok sends, writes the log lines
that it waits for, serves the agent's local API and forwards real HTTP from a loopback port, which
plays the public URL, to the upstream. FAKE_NGROK_FAULTS chooses what goes wrong (faults.py).
Standard library only, as it is run by its path.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import sys
import threading
import time
import uuid
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from faults import FAULTS, FAULTS_KNOWN
from service_words import service_says

VERSION = "3.39.10"
OLD_VERSION = "3.25.1"
TOKEN_SHAPE = re.compile(r"[A-Za-z0-9]{8,}_[A-Za-z0-9]{8,}")
ENDPOINT_FIELDS = {
    "name", "url", "upstream", "bindings", "metadata", "description", "traffic_policy",
    "pooling_enabled", "inspect", "agent_tls_termination",
}  # fmt: skip
HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip

_log_lock = threading.Lock()


def pause(seconds):
    threading.Event().wait(seconds)


def write_log(line):
    with _log_lock:
        try:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os._exit(141)  # a Go program dies of SIGPIPE when its log pipe has lost its reader


def log(lvl, msg, **fields):
    """One logfmt line on stdout, as the agent writes with ``--log stdout``."""
    if "mute" in FAULTS:
        return
    line = "t=" + datetime.now().astimezone().strftime("%Y-%m-%dT%H:%M:%S%z") + " lvl=" + lvl
    for key, value in {"msg": msg, **fields}.items():
        text = str(value)
        plain = re.fullmatch(r'[^\s"=]+', text)
        line += f" {key}=" + (text if plain else json.dumps(text, ensure_ascii=False))
    write_log(f"{line}\n".encode())


def die(reason):
    """Leave as the agent does on a fatal error, which says the reason once more on stderr."""
    log("crit", "command failed", err=reason)
    lines = [line.rstrip() for line in reason.rstrip().split("\n")]
    if code := re.search(r"ERR_NGROK_\d+", reason):
        lines.append("https://ngrok.com/docs/errors/" + code.group().lower())
    sys.stderr.write("".join(f"ERROR:  {line}\n" for line in [*lines, ""]))
    sys.stderr.flush()
    pause(0 if "abrupt" in FAULTS else 0.3)  # if it is gone too soon, pyngrok loses the reason
    os._exit(1)


class RefusedError(Exception):
    """An answer of the local API that is not 2xx."""

    def __init__(self, status, msg, details, error_code=None):
        super().__init__(msg)
        self.status = status
        code = {"error_code": error_code} if error_code else {}
        self.body = {**code, "status_code": status, "msg": msg, "details": details}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        """Say nothing."""

    def body_in(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, status, body=b"", headers=(), reason=None):
        self.send_response_only(status, reason)
        for name, value in headers:
            self.send_header(name, value)
        if status != http.client.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def serve(answer, host, port):
    """Serve ``answer(handler)`` for every request, in the background."""
    methods = ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS")
    # A bound method as an attribute of a class would not be given the handler.
    handler = type("Serving", (Handler,), {f"do_{m}": lambda self: answer(self) for m in methods})  # noqa: PLW0108

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        def handle_error(self, request, client_address):
            """Say nothing: a peer that went away is no news."""

    server = Server((host, port), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    return server


class Endpoint:
    """One public URL: a loopback listener, the ingress, that forwards to the upstream."""

    def __init__(self, agent, name, url, upstream, *, inspect):
        self.agent, self.name, self.upstream, self.inspect = agent, name, upstream, inspect
        want = urlsplit(url)
        port = want.port if want.hostname in ("127.0.0.1", "localhost") else None
        self.server = serve(self.forward, "127.0.0.1", port or 0)
        self.ingress = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.url = url if want.hostname else self.ingress

    def as_json(self, kind):
        out = {
            "name": self.name,
            "uri": f"/api/{kind}/{quote(self.name, safe='')}",
            "fake_ingress": self.ingress,
        }
        if kind == "tunnels":
            config = {"addr": self.upstream, "inspect": self.inspect}
            proto = urlsplit(self.url).scheme
            return {**out, "public_url": self.url, "proto": proto, "config": config}
        upstream = {"url": self.upstream, "protocol": "http1"}
        return {**out, "url": self.url, "upstream": upstream, "inspect": self.inspect}

    def forward(self, handler):
        body, headers = handler.body_in(), handler.headers
        if self.agent.status != "online":
            self.edge_error(handler, 404, 3200, urlsplit(self.url).netloc)
            return
        client, scheme = handler.client_address[0], urlsplit(self.url).scheme
        added = {  # as documented: two are appended to, the third is left if the client sent it
            "X-Forwarded-For": ", ".join(filter(None, [headers.get("X-Forwarded-For"), client])),
            "X-Forwarded-Proto": ", ".join(
                filter(None, [headers.get("X-Forwarded-Proto"), scheme])
            ),
            "X-Forwarded-Host": headers.get("X-Forwarded-Host") or headers.get("Host", ""),
        }
        skip = HOP_BY_HOP | {name.lower() for name in added}
        sent = [(k, v) for k, v in headers.items() if k.lower() not in skip] + list(added.items())
        log("info", "join connections", obj="join", id=uuid.uuid4().hex[:12], r=client)
        try:
            status, reason, got, payload = self.send(handler.command, handler.path, sent, body)
        except ConnectionError as err:
            log("warn", "failed to open private leg", privaddr=self.upstream, err=err)
            self.edge_error(handler, 502, 8012, self.upstream)
        except (OSError, http.client.HTTPException):
            self.edge_error(handler, 502, 3004, self.upstream)
        else:
            drop = HOP_BY_HOP | {"content-length"}
            kept = [(k, v) for k, v in got if k.lower() not in drop]
            handler.reply(status, payload, kept, reason)

    def edge_error(self, handler, status, number, about):
        """An answer of ngrok itself, not of the upstream."""
        handler.close_connection = True
        code = ("Ngrok-Error-Code", f"ERR_NGROK_{number}")
        text = service_says(number, about).encode()
        handler.reply(status, text, [("Content-Type", "text/plain"), code])

    def send(self, method, path, headers, body):
        target = urlsplit(self.upstream)
        upstream = http.client.HTTPConnection(target.hostname, target.port, timeout=30)
        try:
            upstream.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                upstream.putheader(name, value)
            upstream.endheaders(body or None)
            got = upstream.getresponse()
            return got.status, got.reason, got.getheaders(), got.read()
        finally:
            upstream.close()


class Agent:
    """One session with the (pretended) cloud, and its endpoints."""

    def __init__(self, token, web_addr):
        self.token, self.web_addr = token, web_addr
        self.status, self.endpoints = "connecting", {}
        self.lock, self.stopped = threading.RLock(), threading.Event()

    # -- life --------------------------------------------------------------------------------------
    def run(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            stop = signal.SIG_IGN if "deaf" in FAULTS else lambda *_: self.stopped.set()
            signal.signal(number, stop)
        if "killed" in FAULTS:
            self.crash()
        if "noisy" in FAULTS:
            sys.stderr.write("NOISE of the agent\n")
            sys.stderr.flush()
        self.start_web()
        threading.Thread(target=self.session, daemon=True).start()
        self.stopped.wait()
        log("info", "received stop request", obj="app", stopReq="{err:<nil> restart:false}")
        log("info", "session closing", obj="tunnels.session", err="nil")
        os._exit(0)

    def start_web(self):
        host, _, port = (self.web_addr or "127.0.0.1:4040").rpartition(":")
        try:
            server = serve(self.api, host, int(port))
        except OSError as err:
            die(f"listen tcp {host}:{port}: bind: {err.strerror.lower()}")
        address = "{}:{}".format(*server.server_address[:2])
        log("info", "starting web service", obj="web", addr=address, allow_hosts="[]")

    def session(self):
        """Connect to the cloud, or fail in the way FAKE_NGROK_FAULTS says."""
        pause(FAULTS.get("slow", [0.02])[0])
        if "offline" in FAULTS:
            self.keep_failing(
                'failed to dial ngrok server with address "connect.ngrok-agent.com:443": '
                "dial tcp: lookup connect.ngrok-agent.com: no such host"
            )
        number = 0
        if "fail" in FAULTS:
            number = int(FAULTS["fail"][0])
        elif not self.token:
            number = 4018
        elif not TOKEN_SHAPE.fullmatch(self.token):
            number = 105
        if number:
            reason = "authentication failed: " + service_says(number, self.token)
            log("eror", "failed to reconnect session", obj="tunnels.session", err=reason)
            log("eror", "session closing", obj="tunnels.session", err=reason)
            die(reason)
        self.online()
        if "crash" in FAULTS:
            pause(FAULTS["crash"][0])
            self.crash()
        if "drop" in FAULTS:
            after, lasting = FAULTS["drop"]
            pause(after)
            self.drop(lasting)

    def online(self):
        self.status = "online"
        log("info", "client session established", obj="tunnels.session")
        log("info", "tunnel session started", obj="tunnels.session")

    def crash(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def drop(self, seconds):
        """Lose the session with the cloud, then find it again; the endpoints keep their URLs."""
        self.status = "reconnecting"
        lost = "session closed, starting reconnect loop"
        log("eror", "heartbeat timeout, terminating session", obj="tunnels.session")
        log("eror", lost, obj="tunnels.session", err="session closed")
        self.keep_failing("dial tcp: i/o timeout", time.monotonic() + seconds)
        self.online()

    def keep_failing(self, reason, until=float("inf")):
        wait = 0.5  # as the real agent: 0.5 s, doubled up to 30 s
        while (left := until - time.monotonic()) > 0:
            log("eror", "failed to reconnect session", obj="tunnels.session", err=reason)
            pause(min(wait, left))
            wait = min(wait * 2, 30)

    # -- local API ---------------------------------------------------------------------------------
    def api(self, handler):
        path = urlsplit(handler.path).path
        body = handler.body_in()
        log("info", "start", pg=path)
        try:
            if handler.command == "POST" and "stall" in FAULTS:
                pause(FAULTS["stall"][0])
            status, out = self.route(handler.command, path, body)
        except RefusedError as refused:
            status, out = refused.status, refused.body
            log("warn", refused, pg=path, err=out["details"].get("err", out["details"]))
        log("info", "end", pg=path, status=status)
        handler.close_connection = True
        answer = b"" if out is None else json.dumps(out).encode() + b"\n"
        handler.reply(
            status, answer, [("Content-Type", "application/json"), ("Connection", "close")]
        )

    def route(self, method, path, body):
        top, kind, name = [*(unquote(part) for part in path.strip("/").split("/", 2)), "", ""][:3]
        if top == "_fake" and method == "POST":  # not ngrok's: {"drop": 2} or {"crash": true}
            order = json.loads(body)
            fault, args = (self.drop, (order["drop"],)) if "drop" in order else (self.crash, ())
            threading.Timer(0.05, fault, args).start()
            return 202, {}
        kinds = ("tunnels",) if "old" in FAULTS else ("tunnels", "endpoints")
        if top != "api" or kind not in kinds:
            raise RefusedError(404, "Not Found", {"path": path})
        with self.lock:
            if not name and method == "GET":
                return 200, {kind: [e.as_json(kind) for e in self.endpoints.values()]}
            if not name and method == "POST":
                return 201, self.create(kind, json.loads(body)).as_json(kind)
            if name not in self.endpoints:
                raise RefusedError(404, "tunnel not found", {"name": name}, 100)
            if method == "DELETE":
                server = self.endpoints.pop(name).server
                server.shutdown()
                server.server_close()
                return 204, None
        raise RefusedError(405, "Method Not Allowed", {"method": method})

    def create(self, kind, wanted):
        name, url = wanted.get("name"), wanted.get("url") or ""
        known = ENDPOINT_FIELDS - ({"inspect"} if "strict" in FAULTS else set())
        unknown = sorted(set(wanted) - known) if kind == "endpoints" else []
        upstream = (wanted.get("upstream") or {}).get("url")
        if kind == "tunnels":
            upstream = wanted.get("addr")
            url = f"https://{wanted['domain']}" if wanted.get("domain") else url
        if unknown or not name or not upstream or name in self.endpoints:
            wrong = {"err": f"field {unknown or name} is unknown, missing or used already"}
            raise RefusedError(400, "invalid tunnel configuration", wrong, 102)
        if self.status != "online":
            early = {"err": "a successful ngrok tunnel session has not yet been established"}
            raise RefusedError(503, "ngrok is not yet ready to start tunnels", early, 104)
        number = int(FAULTS.get("connect", [0])[0]) or (313 if url and "unowned" in FAULTS else 0)
        if number:
            reason = service_says(number, url or "https://fake.ngrok-free.dev")
            refused = {"err": f"failed to start tunnel: {reason}"}
            raise RefusedError(502, "failed to start tunnel", refused, 103)
        upstream = upstream if "://" in upstream else f"http://{upstream}"
        inspect = wanted.get("inspect", True)
        endpoint = self.endpoints[name] = Endpoint(self, name, url, upstream, inspect=inspect)
        log("info", "started tunnel", obj="tunnels", name=name, addr=upstream, url=endpoint.url)
        if "garbage" in FAULTS:
            write_log(b"lvl=info msg=\xff\xfe\n")
        return endpoint


def config_value(text, key):
    """The one scalar wanted out of the YAML, at the top level (v2) or under ``agent:`` (v3)."""
    found = re.search(rf"^\s*{key}:\s*['\"]?([^'\"\s#]+)", text, re.MULTILINE)
    return found.group(1) if found else None


def main(argv):
    if unknown := set(FAULTS) - FAULTS_KNOWN:
        sys.exit(f"fake ngrok: no such fault: {', '.join(sorted(unknown))}")
    options, words, rest = {}, [], iter(argv)
    for item in rest:
        if item.startswith("--") and item not in ("--none", "--version"):
            options[item[2:]] = next(rest, "")
        else:
            words.append(item)
    if words == ["version"]:
        sys.stdout.write(f"ngrok version {OLD_VERSION if 'old' in FAULTS else VERSION}\n")
        return 0
    if words != ["start", "--none"]:
        sys.stderr.write(f"ERROR:  fake ngrok: no such command: {' '.join(argv)}\n")
        return 1
    path = Path(options["config"])
    if not path.exists():
        die(f"Error reading configuration file '{path}': open {path}: no such file or directory")
    text = path.read_text("utf-8")
    log("info", "open config file", path=path, err="<nil>")
    found = os.environ.get("NGROK_AUTHTOKEN") or config_value(text, "authtoken")
    token = options.get("authtoken") or found
    web_addr = os.environ.get("FAKE_NGROK_WEB_ADDR") or config_value(text, "web_addr")
    Agent(token, web_addr).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
