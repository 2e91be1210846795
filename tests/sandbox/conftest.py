"""Fixtures of the sandbox's tests: a sandbox, its API over HTTP, the SDK, an app of a user."""

from __future__ import annotations

import pytest
from apps import URL, App, sdk
from pretend_twilio import served

from smsquest_cli.sandbox import ACCOUNT_SID, SANDBOX_TOKEN, Sandbox, to_wsgi


@pytest.fixture
def app():
    return App()


@pytest.fixture
def app_url(app):
    with served(app) as origin:
        yield origin


@pytest.fixture
def sandbox():
    with Sandbox(seed=7) as made:
        yield made


@pytest.fixture
def origin(sandbox):
    with served(sandbox.app) as url:
        yield url


@pytest.fixture
def twilio(origin):
    with sdk(origin, ACCOUNT_SID, SANDBOX_TOKEN) as client:
        yield client


@pytest.fixture
def carried(app):
    """A sandbox that calls *app* in this very thread, and settles in it."""
    with Sandbox(
        auth_token="a-token-of-mine",
        webhook_url=URL,
        deliver=to_wsgi(app),
        allow_remote=True,
        workers=0,
        seed=1,
    ) as made:
        yield made
