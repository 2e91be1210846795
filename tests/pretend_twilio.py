"""The pretend Twilio over real HTTP, and settings that lead to it: for tests of what calls it."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from email.utils import formatdate

import requests
from requests.adapters import BaseAdapter
from werkzeug.serving import WSGIRequestHandler, make_server

from smsquest_cli import wire
from smsquest_cli.config import load_settings
from smsquest_cli.sandbox import ACCOUNT_SID, NUMBER, SANDBOX_TOKEN, Sandbox
from smsquest_cli.twilio_api import TwilioGateway


class _Quiet(WSGIRequestHandler):
    def log_request(self, *_args):
        pass


@contextmanager
def served(app):
    """The origin at which the WSGI *app* answers real HTTP."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class InProcess(BaseAdapter):
    """Carries the requests of the SDK's client to a WSGI app without a socket: for many tests."""

    def __init__(self, app):
        super().__init__()
        self.app = app

    def send(self, request, **_options):
        body = request.body or b""
        answer = wire.call_wsgi(
            self.app,
            wire.Request(
                request.method,
                request.url,
                (("Host", "127.0.0.1"), *request.headers.items()),
                body if isinstance(body, bytes) else body.encode(),
            ),
        )
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.headers["Date"] = formatdate(usegmt=True)
        response._content = answer.body
        response.request, response.url = request, request.url
        return response

    def close(self):
        pass


class PretendTwilio:
    """A Twilio account of a test: its state, its faults, and how to reach it."""

    def __init__(self, sandbox, app, origin, folder):
        self.sandbox = sandbox
        self._app = app
        self.account = sandbox.account
        self.faults = sandbox.faults
        self.origin = origin
        self.folder = folder
        self.requests = []  # "POST /2010-04-01/…" of every one that came
        self.pauses = []
        self._gateways = []

    @property
    def number(self):
        """The account's first number, live."""
        return self.account.owned(NUMBER)

    @property
    def environment(self):
        """The variables of a user of this account."""
        return {
            "HOME": str(self.folder),
            "SMSQUEST_HOME": str(self.folder / "state"),
            "SMSQUEST_TWILIO_URL": self.origin,
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": SANDBOX_TOKEN,
        }

    def by_key(self, *, standard=True):
        """Variables with which one logs in by an API key of the account."""
        key = self.account.add_key(standard=standard)
        return {"TWILIO_API_KEY": key.sid, "TWILIO_API_SECRET": key.secret, "TWILIO_AUTH_TOKEN": ""}

    def settings(self, options=None, **environment):
        """The settings of a user of this account; *environment* adds variables."""
        return load_settings(
            {**self.environment, **environment}, cwd=self.folder, overrides=options
        )

    def gateway(self, *, timeout=5.0, in_process=False, **environment):
        """A gateway to the account that waits between its tries for no time."""
        login = self.settings(**environment).rest_credentials()
        return self.connected(login, timeout=timeout, in_process=in_process)

    def connected(self, login, *, timeout=5.0, in_process=True, **options):
        """A gateway with these credentials, through no socket if *in_process*."""
        gateway = TwilioGateway(login, timeout=timeout, pause=self.pauses.append, **options)
        if in_process:
            gateway._http._session.mount("http://", InProcess(self._app))
        self._gateways.append(gateway)
        return gateway

    def rotate(self, token):
        """Give the account another auth token: for its API, and for what it signs from now on."""
        self.account.auth_token = self.sandbox.carrier._courier._auth_token = token

    def updates(self):
        """The requests that changed something."""
        return [request for request in self.requests if not request.startswith("GET")]

    def close(self):
        for gateway in self._gateways:
            gateway.close()


@contextmanager
def pretend_twilio(folder, *, http=True, **options):
    """A pretend Twilio with its state in *folder*; *options* are those of `Sandbox`.

    Without *http* it has no server: only gateways in this process reach it.
    """
    with ExitStack() as stack:
        sandbox = stack.enter_context(Sandbox(workers=0, seed=7, **options))
        requests = []

        def noting(environ, start):
            requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}")
            return sandbox.app.wsgi_app(environ, start)

        origin = stack.enter_context(served(noting)) if http else "http://127.0.0.1:1"
        twilio = PretendTwilio(sandbox, noting, origin, folder)
        twilio.requests = requests
        stack.callback(twilio.close)
        stack.callback(twilio.faults.clear)
        yield twilio
