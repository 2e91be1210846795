"""What Twilio's API lacks: playing a phone, for ``smsquest simulate`` in another process.

It takes the sandbox's control token, which its ``serve`` keeps in a private file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flask import request

from smsquest_cli.problems import SmsquestError
from smsquest_cli.sandbox.refusals import Refusal
from smsquest_cli.sandbox.resources import METHODS
from smsquest_cli.sandbox.scenario import PACES, Scenario

if TYPE_CHECKING:
    from flask import Flask

    from smsquest_cli.sandbox.carrier import Carrier

PREFIX: Final = "/_smsquest/"


def add_routes(app: Flask, carrier: Carrier) -> None:
    """Let *app* play phones of *carrier*."""

    @app.post(f"{PREFIX}inbound")
    def inbound() -> tuple[dict[str, Any], int]:
        """A phone sends a text. JSON: ``from``, ``to``, ``body``, ``media``, ``parameters``, …."""
        asked = _asked()
        try:
            exchange = carrier.receive(
                _text(asked, "from"),
                _text(asked, "to"),
                str(asked.get("body", "")),
                media=[str(url) for url in asked.get("media", [])],
                parameters={str(k): str(v) for k, v in asked.get("parameters", {}).items()},
                scenario=Scenario.parse(str(asked["scenario"])) if asked.get("scenario") else None,
                pace=_choice(asked, "pace", tuple(PACES)),
                method=_choice(asked, "method", METHODS),
                unsigned=asked.get("unsigned") is True,
            )
        except SmsquestError as err:
            return {"problem": {"id": err.id, "line": err.line}}, 422
        return exchange.to_record(), 200


def _asked() -> dict[str, Any]:
    asked = request.get_json(silent=True)
    if not isinstance(asked, dict):
        raise Refusal(20001, message="a JSON object is expected")
    return asked


def _text(asked: dict[str, Any], name: str) -> str:
    if isinstance(value := asked.get(name), str) and value:
        return value
    raise Refusal(20001, message=f"{name} is missing")


def _choice(asked: dict[str, Any], name: str, choices: tuple[str, ...]) -> str | None:
    value = asked.get(name)
    if value is None or value in choices:
        return value
    raise Refusal(20001, message=f"{name} must be one of {', '.join(choices)}")
