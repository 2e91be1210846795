"""The program with the waits of a real day made short: what takes minutes is a moment here."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

from smsquest_cli import forwarding
from smsquest_cli.__main__ import main
from smsquest_cli.serving import number_entrance
from smsquest_cli.tunnel import ngrok

if __name__ == "__main__":
    number_entrance.RECHECK_SECONDS = 0.1
    number_entrance.RETRY_SECONDS = 0.1
    number_entrance.Unheard = partial(number_entrance.Unheard, patience=timedelta(seconds=0.2))
    number_entrance.Handling = partial(number_entrance.Handling, patience=1.5, pause=0.05)
    number_entrance.TwilioGateway = partial(
        number_entrance.TwilioGateway,
        timeout=0.8,
        pause=lambda _seconds: threading.Event().wait(0.02),
    )
    forwarding.Forwarder.__init__.__kwdefaults__["wait_seconds"] = 0.2
    ngrok.Timings = partial(
        ngrok.Timings, startup=3, tick=0.05, reconnect=0.6, pauses=(0.1,), lost=1.5
    )
    main()
