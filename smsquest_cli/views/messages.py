"""The view of deliveries, which is fed with the states of messages and with problems."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smsquest_cli.console import Output
from smsquest_cli.views import make_view

if TYPE_CHECKING:
    from smsquest_cli.views import View


def message_view(output: Output, *, wide: bool = False) -> View:
    """A view of deliveries as *output*; a *wide* table leaves nothing out."""
    if output is not Output.TABLE:
        return make_view(output)
    from smsquest_cli.views.deliveries import Deliveries

    return Deliveries(wide=wide)
