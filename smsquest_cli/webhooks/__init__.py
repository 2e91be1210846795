"""The web app that Twilio calls: ``/sms``, ``/status`` and ``/healthz``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from smsquest_cli.webhooks.answering import Answered, App, RuleAnswerer
from smsquest_cli.webhooks.hot_routes import HotRoutes
from smsquest_cli.webhooks.receiver import Receiver

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import ResponseReturnValue
    from werkzeug.exceptions import HTTPException

__all__ = ["Answered", "App", "Receiver", "RuleAnswerer", "create_app"]

_TEXT: Final = {"Content-Type": "text/plain; charset=utf-8"}


def create_app(receiver: Receiver) -> Flask:
    """The Flask app of *receiver*; the two routes that Twilio calls are answered before Flask."""
    from flask import Flask
    from werkzeug.exceptions import HTTPException

    app = Flask("smsquest_cli.webhooks", static_folder=None)
    app.url_map.merge_slashes = False  # else Flask would redirect, which Twilio does not follow

    @app.get("/healthz")
    def healthz() -> ResponseReturnValue:
        return {"ok": True, "run": receiver.run}

    @app.errorhandler(HTTPException)
    def refuse(error: HTTPException) -> ResponseReturnValue:
        response = error.get_response()
        response.headers.update(_TEXT)
        response.set_data(f"{error.code} {error.name}\n")
        return response

    app.wsgi_app = HotRoutes(receiver, app.wsgi_app)  # type: ignore[method-assign]
    return app
