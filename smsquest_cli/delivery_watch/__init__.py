"""What becomes of messages: callbacks and Twilio's answers joined, followed and waited for."""

from __future__ import annotations

from smsquest_cli.delivery_watch.deliveries import Deliveries
from smsquest_cli.delivery_watch.poll import Selection, known_sids
from smsquest_cli.delivery_watch.watch import DeliveryWatch, Until

__all__ = ["Deliveries", "DeliveryWatch", "Selection", "Until", "known_sids"]
