"""Numbers, TwiML apps, services, addresses and alerts, as Twilio's Python SDK sees them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import requests
from apps import refused

from smsquest_cli.sandbox import (
    ACCOUNT_SID,
    NUMBER,
    SANDBOX_TOKEN,
)

ROOT = f"/2010-04-01/Accounts/{ACCOUNT_SID}"


def test_the_account_starts_with_one_number(twilio):
    """There is one number that can send and receive, and no webhook yet."""
    [number] = twilio.incoming_phone_numbers.list()

    assert (number.phone_number, number.sms_url, number.sms_method) == (NUMBER, "", "POST")
    assert number.capabilities == {"fax": False, "mms": True, "sms": True, "voice": True}
    assert number.date_created.tzinfo is not None


def test_a_number_is_pointed_and_cleared(twilio):
    """What an update names changes, an empty string clears, the rest stays."""
    [number] = twilio.incoming_phone_numbers.list()

    number.update(sms_url="http://127.0.0.1:5000/sms", sms_fallback_url="http://127.0.0.1/f")
    number.update(sms_method="GET")
    pointed = twilio.incoming_phone_numbers(number.sid).fetch()
    cleared = pointed.update(sms_url="", sms_fallback_url="")

    assert (pointed.sms_url, pointed.sms_method, pointed.sms_fallback_url) == (
        "http://127.0.0.1:5000/sms",
        "GET",
        "http://127.0.0.1/f",
    )
    assert (cleared.sms_url, cleared.sms_fallback_url, cleared.sms_method) == ("", "", "GET")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"sms_url": "/sms"}, 21402),
        ({"sms_url": "ftp://example.com/"}, 21402),
        ({"sms_url": "http://exa mple.com/"}, 21402),
        ({"sms_fallback_url": "nonsense", "sms_url": "http://127.0.0.1/"}, 21402),
        ({"sms_method": "PUT"}, 21403),
        ({"status_callback": "status"}, 21502),
        ({"sms_fallback_url": "http://127.0.0.1/"}, 21406),
        ({"sms_application_sid": "AP" + "0" * 32}, 21420),
    ],
)
def test_what_a_number_cannot_be_set_to(twilio, fields, code):
    """A bad update is refused with Twilio's code and changes nothing."""
    [number] = twilio.incoming_phone_numbers.list()

    assert refused(number.update, friendly_name="new", **fields)[:2] == (400, code)
    assert number.fetch().friendly_name == NUMBER


def test_a_voice_number_takes_no_sms_webhook(sandbox, twilio):
    """A number without SMS refuses an SmsUrl (21407)."""
    number = sandbox.account.add_number("+442071838750", sms=False)

    update = twilio.incoming_phone_numbers(number.sid).update

    assert refused(update, sms_url="http://127.0.0.1/")[:2] == (400, 21407)


def test_numbers_are_found_by_part_and_pattern(sandbox, twilio):
    """`PhoneNumber` filters by a part, `*` stands for a digit, the plus sign counts."""
    for last in (1, 2, 12):
        sandbox.account.add_number(f"+120255501{last:02}")

    def found(pattern):
        numbers = twilio.incoming_phone_numbers.list(phone_number=pattern)
        return [number.phone_number[-2:] for number in numbers]

    assert found("+12025550102") == ["02"]
    assert found("555010*") == ["00", "01", "02"]
    assert found("12") == ["00", "01", "02", "12"]
    assert found("999") == []
    assert twilio.incoming_phone_numbers.list(friendly_name="+12025550112")[0].sid


def test_a_list_is_read_page_by_page(sandbox, twilio):
    """The SDK walks through all pages, and back."""
    for last in range(1, 7):
        sandbox.account.add_number(f"+1202555020{last}")

    numbers = twilio.incoming_phone_numbers.list(page_size=3)
    first = twilio.incoming_phone_numbers.page(page_size=3)
    second = first.next_page()
    third = second.next_page()

    assert len({number.sid for number in numbers}) == 7
    assert [len(list(page)) for page in (second, third)] == [3, 1]
    assert third.next_page() is None
    assert [n.sid for n in third.previous_page()] == [n.sid for n in numbers[3:6]]
    assert first.previous_page() is None


def test_a_bad_page_token_is_refused(origin):
    """An invented page token is no page (21481)."""
    url = f"{origin}{ROOT}/IncomingPhoneNumbers.json?PageToken=PAx"

    answer = requests.get(url, auth=(ACCOUNT_SID, SANDBOX_TOKEN), timeout=5)

    assert (answer.status_code, answer.json()["code"]) == (400, 21481)


def test_a_number_is_bought_and_released(twilio):
    """A new number belongs to the account until it is given back."""
    bought = twilio.incoming_phone_numbers.create(
        phone_number="+12025550177", sms_url="http://127.0.0.1/sms"
    )

    assert twilio.incoming_phone_numbers(bought.sid).fetch().sms_url == "http://127.0.0.1/sms"
    assert refused(twilio.incoming_phone_numbers.create, phone_number="+12025550177")[1] == 21422
    assert refused(twilio.incoming_phone_numbers.create, phone_number="177")[1] == 21421
    assert twilio.incoming_phone_numbers(bought.sid).delete()
    assert refused(twilio.incoming_phone_numbers(bought.sid).fetch)[:2] == (404, 20404)


def test_twiml_apps(twilio):
    """A TwiML app is made, found, read and changed."""
    made = twilio.applications.create(friendly_name="shop", sms_url="http://127.0.0.1/a")

    twilio.applications(made.sid).update(message_status_callback="http://127.0.0.1/s")

    [listed] = twilio.applications.list(friendly_name="shop")
    fetched = twilio.applications(made.sid).fetch()
    assert (listed.sid, fetched.message_status_callback) == (made.sid, "http://127.0.0.1/s")
    assert refused(fetched.update, sms_url="x")[:2] == (400, 21402)
    assert refused(twilio.applications("AP" + "1" * 32).fetch)[:2] == (404, 20404)


def test_messaging_services(twilio):
    """A service is made, found, given numbers, and told what to do with what comes in."""
    made = twilio.messaging.v1.services.create(friendly_name="shop")
    [number] = twilio.incoming_phone_numbers.list()
    twilio.messaging.v1.services(made.sid).phone_numbers.create(phone_number_sid=number.sid)

    updated = twilio.messaging.v1.services(made.sid).update(
        inbound_request_url="http://127.0.0.1/in",
        inbound_method="get",
        use_inbound_webhook_on_number=True,
    )
    [sender] = twilio.messaging.v1.services(made.sid).phone_numbers.list()
    same = twilio.messaging.v1.services(made.sid).phone_numbers(number.sid).fetch()

    assert (made.inbound_request_url, made.use_inbound_webhook_on_number) == (None, False)
    assert (updated.inbound_request_url, updated.inbound_method) == ("http://127.0.0.1/in", "GET")
    assert updated.use_inbound_webhook_on_number is True
    assert updated.friendly_name == "shop"
    assert (sender.phone_number, sender.country_code, same.sid) == (NUMBER, "US", number.sid)
    assert updated.update(inbound_request_url="").inbound_request_url is None


def test_what_a_service_refuses(sandbox, twilio):
    """A number is in one service at most; bad values and unknown sids are refused."""
    sandbox.account.add_service("first", NUMBER)
    first, second = [*sandbox.account.services, twilio.messaging.v1.services.create("b").sid]
    [number] = twilio.incoming_phone_numbers.list()
    services = twilio.messaging.v1.services

    assert refused(services(first).phone_numbers.create, number.sid)[:2] == (409, 21710)
    assert refused(services(second).phone_numbers.create, number.sid)[:2] == (409, 21712)
    assert refused(services(second).phone_numbers.create, "PN1")[:2] == (404, 20404)
    assert refused(services(second).phone_numbers(number.sid).fetch)[:2] == (404, 20404)
    assert refused(services("MG1").fetch)[:2] == (404, 20404)
    assert refused(services(first).update, inbound_request_url="x")[1] == 21402
    assert refused(services(first).update, inbound_method="PUT")[1] == 21403
    assert refused(services.create, "")[1] == 20001
    assert services(first).phone_numbers(number.sid).delete()
    assert services(first).phone_numbers.list() == []
    assert services(first).delete()
    assert [service.sid for service in services.list()] == [second]


def test_a_released_number_leaves_its_service(sandbox, twilio):
    """Releasing a number takes it out of its Messaging Service."""
    service = sandbox.account.add_service("shop", NUMBER)
    [number] = twilio.incoming_phone_numbers.list()

    number.delete()

    assert twilio.messaging.v1.services(service.sid).phone_numbers.list() == []


def test_services_are_listed_page_by_page(sandbox, twilio):
    """Pages of a v1 list lead to each other by absolute URLs of the sandbox's own origin."""
    for n in range(5):
        sandbox.account.add_service(f"service {n}")

    names = [s.friendly_name for s in twilio.messaging.v1.services.list(page_size=2)]

    assert names == [f"service {n}" for n in range(5)]


def test_v1_pages_stay_on_the_origin(origin):
    """`meta` has the keys of Twilio's v1 lists."""
    answer = requests.get(
        f"{origin}/v1/Services?PageSize=1", auth=(ACCOUNT_SID, SANDBOX_TOKEN), timeout=5
    )

    assert answer.json()["meta"] == {
        "page": 0,
        "page_size": 1,
        "first_page_url": f"{origin}/v1/Services?PageSize=1&Page=0",
        "previous_page_url": None,
        "url": f"{origin}/v1/Services?PageSize=1&Page=0",
        "next_page_url": None,
        "key": "services",
    }
    assert answer.headers["X-API-Domain"] == "messaging.twilio.com"


def test_conversations_addresses(sandbox, twilio):
    """An address is found by its sid and by its number."""
    made = sandbox.account.add_address(NUMBER)
    addresses = twilio.conversations.v1.address_configurations

    assert addresses(NUMBER).fetch().sid == made.sid
    assert addresses(made.sid).fetch().auto_creation["enabled"] is True
    assert [address.address for address in addresses.list()] == [NUMBER]
    assert refused(addresses("+12025550199").fetch)[:2] == (404, 20404)


def test_alerts_tell_what_went_wrong(sandbox, twilio, app, app_url):
    """What Twilio holds against a webhook is in the Monitor, response included when asked for."""
    app.answers["/sms"] = [(500, {"Content-Type": "text/html"}, "boom")]
    exchange = sandbox.play("hi", url=f"{app_url}/sms")

    [alert] = twilio.monitor.v1.alerts.list()
    whole = alert.fetch()

    assert (alert.error_code, alert.log_level, alert.resource_sid) == (
        "11200",
        "error",
        exchange.sid,
    )
    assert alert.request_url == f"{app_url}/sms"
    assert whole.response_body == "boom"
    assert "Body=hi" in whole.request_variables
    assert twilio.monitor.v1.alerts.list(log_level="warning") == []
    hour = timedelta(hours=1)
    now = datetime.now(UTC)
    assert twilio.monitor.v1.alerts.list(start_date=now + hour) == []
    assert len(twilio.monitor.v1.alerts.list(start_date=now - hour, end_date=now + hour)) == 1
    assert refused(twilio.monitor.v1.alerts("NO1").fetch)[1] == 20404
