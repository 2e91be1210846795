"""Twilio's own limits, each with where Twilio says so."""

from __future__ import annotations

from typing import Final

# https://www.twilio.com/docs/messaging/api/message-resource
LONGEST_TEXT: Final = 1600  # characters; more is refused (21617)
MOST_MEDIA: Final = 10  # of one message (21623)
LONGEST_CALLBACK: Final = 4000  # characters of a status callback (21609)

# https://www.twilio.com/docs/messaging/twiml
MOST_REPLIES: Final = 10  # to one message (14109)
LARGEST_TWIML: Final = 65_536  # bytes of a document (11750)
FOLLOWED: Final = frozenset({301, 302, 303, 307})  # the redirects that are followed (11216)

# https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides
ANSWER_SECONDS: Final = 15.0  # for an answer, connecting included
