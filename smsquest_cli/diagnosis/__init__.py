"""What stands between a phone and this computer: which number, who answers it, what is wrong."""

from __future__ import annotations

from smsquest_cli.diagnosis.choice import by_usefulness, choose_number, titled
from smsquest_cli.diagnosis.menu import menu
from smsquest_cli.diagnosis.routes import (
    Concern,
    Route,
    brought_along,
    concern_about,
    named_service,
    route_of,
    routes_of,
)

__all__ = [
    "Concern",
    "Route",
    "brought_along",
    "by_usefulness",
    "choose_number",
    "concern_about",
    "menu",
    "named_service",
    "route_of",
    "routes_of",
    "titled",
]
