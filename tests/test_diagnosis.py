"""Who really answers a number, which number is meant, and what must be asked before it is taken."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pretend_twilio import pretend_twilio

from smsquest_cli.diagnosis import (
    Route,
    by_usefulness,
    choose_number,
    concern_about,
    route_of,
    routes_of,
)
from smsquest_cli.problems import NumberError, TwilioRefusedError
from smsquest_cli.sandbox import NUMBER, routing
from smsquest_cli.twilio_api import (
    Application,
    ConversationsAddress,
    PhoneNumber,
    Service,
)

SHOP = "+12025550101"
DEV = "+12025550102"
LONDON = "+442071838750"
OLD = "https://api.shop.example/sms"
NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


@pytest.fixture
def twilio(tmp_path):
    with pretend_twilio(tmp_path, http=False) as twilio:
        yield twilio


@pytest.fixture
def gateway(twilio):
    return twilio.gateway(in_process=True)


def a_number(**fields):
    return PhoneNumber(**{"sid": "PN" + "1" * 32, "phone_number": NUMBER, **fields})


def a_service(**fields):
    return Service(**{"sid": "MG3a" + "0" * 28 + "7c", "friendly_name": "shop", **fields})


def found(gateway, twilio):
    """The route of the account's number."""
    return route_of(gateway, gateway.number(twilio.number.sid))


# Who answers


def test_a_number_answers_for_itself(twilio, gateway):
    """Its own SmsUrl is called, unless something else stands before it."""
    nobody = found(gateway, twilio)
    assert (nobody.answers, nobody.url) == ("number", "")
    twilio.number.sms_url, twilio.number.sms_method = OLD, "GET"

    route = found(gateway, twilio)

    assert (route.answers, route.url, route.method) == ("number", OLD, "GET")
    assert route.owner.kind == "production"
    assert not route.is_free
    assert route.changed == route.number.date_updated
    assert route.notes(at=NOW) == ()
    assert route.obstacle(via_service=False) is None


def test_a_twiml_app_stands_before_the_number(twilio, gateway):
    """N6: its URL is called, and it will be detached for the run."""
    app = twilio.account.add_application(friendly_name="menu", sms_url="https://x.example/menu")
    twilio.number.sms_url, twilio.number.sms_application_sid = OLD, app.sid

    route = found(gateway, twilio)

    assert (route.answers, route.url, route.method) == (
        "application",
        "https://x.example/menu",
        "POST",
    )
    [problem] = route.notes(at=NOW)
    assert (problem.id, problem.severity) == ("N6", "warning")
    assert not route.is_free


def test_an_app_that_is_gone_still_stands_there(twilio, gateway):
    """Twilio ignores the number's URL as long as any app is named."""
    twilio.number.sms_application_sid = "AP" + "9" * 32

    assert found(gateway, twilio).answers == "application"


@pytest.mark.parametrize(
    ("url", "defers", "answers", "obstacle"),
    [
        ("https://x.example/in", False, "service", "N4"),
        (None, False, "service", "N5"),
        ("https://x.example/in", True, "number", None),
    ],
)
def test_a_service_answers_for_its_numbers(twilio, gateway, url, defers, answers, obstacle):
    """N4, N5: the number's own URL is ignored, unless the service defers to it."""
    twilio.number.sms_url = OLD
    twilio.account.add_service(
        "shop", NUMBER, inbound_request_url=url, use_inbound_webhook_on_number=defers
    )

    route = found(gateway, twilio)

    problem = route.obstacle(via_service=False)
    assert route.answers == answers
    assert (problem.id if problem else None) == obstacle
    assert route.obstacle(via_service=True) is None
    if obstacle:
        assert f'{NUMBER} is in Messaging Service "shop" (MG' in problem.line or obstacle == "N5"
        assert "--via-service" in problem.line
        assert route.changed == route.service.date_updated
        assert route.url == (url or "")


@pytest.mark.parametrize("has_app", [False, True])
@pytest.mark.parametrize("service_url", [None, "", "https://x.example/service"])
@pytest.mark.parametrize("defers", [False, True])
def test_whom_it_names_is_whom_the_pretend_twilio_calls(
    twilio, gateway, has_app, service_url, defers
):
    """A service stands before all that is configured on the number, its TwiML app included."""
    twilio.number.sms_url = OLD
    if has_app:
        app = twilio.account.add_application(sms_url="https://x.example/app")
        twilio.number.sms_application_sid = app.sid
    if service_url is not None:
        twilio.account.add_service(
            "shop",
            NUMBER,
            inbound_request_url=service_url,
            use_inbound_webhook_on_number=defers,
        )

    called = routing.route_of(twilio.account, twilio.number).webhook

    assert found(gateway, twilio).url == (called.url if called else "")


def test_a_conversation_takes_what_comes(twilio, gateway):
    """N17: an address with auto-creation; one without changes nothing."""
    twilio.number.sms_url = OLD
    twilio.account.add_address(NUMBER)

    route = found(gateway, twilio)

    assert route.answers == "conversations"
    assert [problem.id for problem in route.notes(at=NOW)] == ["N17"]
    twilio.account.addresses.clear()
    twilio.account.add_address(NUMBER, auto_creation=False)
    assert found(gateway, twilio).answers == "number"


def test_a_number_without_sms(twilio, gateway):
    """N11: nothing can be done about it."""
    number = twilio.account.add_number(LONDON, sms=False)

    route = route_of(gateway, gateway.number(number.sid))

    assert route.obstacle(via_service=True).id == "N11"


def test_another_region_is_said(twilio):
    """N12: each region has its own copy of the number's settings."""
    gateway = twilio.gateway(in_process=True, TWILIO_REGION="ie1", TWILIO_EDGE="dublin")

    [problem] = found(gateway, twilio).notes(at=NOW)

    assert (problem.id, "TWILIO_REGION=ie1" in problem.line) == ("N12", True)
    home = twilio.gateway(in_process=True, TWILIO_EDGE="ashburn")
    assert found(home, twilio).notes(at=NOW) == ()


def test_a_fallback_url_is_noted(twilio, gateway):
    """N19: it answers in place of an app that fails, which hides why nothing seems wrong."""
    twilio.number.sms_fallback_url = "https://joe:hush@prod.example/fallback"

    [note] = found(gateway, twilio).notes(at=NOW)

    assert (note.id, "https://***@prod.example/fallback" in note.line) == ("N19", True)


def test_many_numbers_are_looked_at_with_few_questions(twilio, gateway):
    """One list of services, one of addresses, for all of them."""
    shop = twilio.account.add_number(SHOP, sms_url=OLD)
    twilio.account.add_number(DEV)
    twilio.account.add_service("shop", SHOP, inbound_request_url="https://x.example/in")
    twilio.account.add_address(DEV)
    numbers = gateway.numbers()
    asked = len(twilio.requests)

    routes = routes_of(gateway, numbers)

    assert [route.answers for route in routes] == ["number", "service", "conversations"]
    assert len(twilio.requests) - asked == 3
    assert routes[1] == route_of(gateway, gateway.number(shop.sid))


@pytest.mark.parametrize("code", [403, 400])
def test_where_a_key_may_not_look_is_said(twilio, gateway, code):
    """A Restricted key: what could not be looked into is a warning, and the rest goes on."""
    twilio.faults.add("GET", "/v1/", status=code, times=None)

    route = found(gateway, twilio)

    assert route.answers == "number"
    assert {problem.severity for problem in route.notes(at=NOW)} == {"warning"}
    assert len(route.notes(at=NOW)) == 2
    assert routes_of(gateway, [route.number])[0].unknown


def test_while_twilio_is_away_nothing_is_known(twilio, gateway):
    """No answer is not taken for "no service"."""
    twilio.faults.add("GET", "/v1/", status=503, times=None)

    with pytest.raises(TwilioRefusedError, match="W3"):
        found(gateway, twilio)


def test_refused_credentials_are_not_a_place_without_access(twilio, gateway):
    """C2 ends it."""
    twilio.faults.add("GET", "/v1/", status=401, times=None)

    with pytest.raises(Exception, match="C2"):
        found(gateway, twilio)


# What must be asked


@pytest.mark.parametrize("url", ["", "https://demo.twilio.com/welcome/sms/reply"])
def test_a_free_number_is_taken_without_asking(url):
    """Nobody would miss anything."""
    route = Route(number=a_number(sms_url=url))

    assert route.is_free
    assert concern_about(route) is None


def test_what_a_dead_run_of_ours_left_is_not_asked_about():
    """It was asked when it was taken the first time."""
    route = Route(number=a_number(sms_url="https://brave-otter.ngrok-free.app/sms"))

    assert concern_about(route, ours=("https://brave-otter.ngrok-free.app/sms",)) is None


def test_a_production_url_is_asked_about():
    """N8: what stands there, and what would become of it; without a terminal the flag is named."""
    concern = concern_about(Route(number=a_number(sms_url=OLD)))

    assert concern.question == (
        f"confirm[N8]: {NUMBER} now calls {OLD} (POST), somebody's app. "
        "Its messages would come here until you stop. Replace it?"
    )
    assert isinstance(concern.error, NumberError)
    assert concern.error.line == (
        f"{NUMBER} now calls {OLD} (POST), somebody's app. "
        "Its messages would come here until you stop. Confirm with --yes"
    )


def test_a_change_for_good_says_so():
    """Nobody promises to put it back then."""
    route = Route(number=a_number(sms_url="https://webhooks.twilio.com/v1/Accounts/A/Flows/F"))

    concern = concern_about(route, for_good=True)

    assert "a Studio flow. It would be replaced. Replace it?" in concern.question


def test_a_password_in_the_url_is_not_shown():
    """Twilio allows one; nobody else needs to see it."""
    concern = concern_about(Route(number=a_number(sms_url="https://joe:hush@x.example/sms")))

    assert "hush" not in concern.question + concern.error.line


@pytest.mark.parametrize(
    ("age", "words"),
    [
        (timedelta(minutes=6), " (changed 6 min ago)"),
        (timedelta(hours=5), " (changed 5 h ago)"),
        (timedelta(days=2), ""),
        (timedelta(hours=-1), ""),
        (None, ""),
    ],
)
def test_another_tunnel_may_be_a_colleagues(age, words):
    """M4 says when it was changed, if that is not long ago."""
    changed = None if age is None else NOW - age
    number = a_number(sms_url="https://calm-fox.ngrok-free.app/sms", date_updated=changed)

    concern = concern_about(Route(number=number), now=NOW)

    where = f"{NUMBER} points at another tunnel, https://calm-fox.ngrok-free.app/sms{words}. "
    assert concern.question == f"confirm[M4]: {where}A colleague's? Take over?"
    assert concern.error.line == f"{where}A colleague's? Confirm with --yes"


def test_how_long_ago_goes_by_the_clock():
    """Without being told the time, it is now."""
    number = a_number(sms_url="https://x.ngrok.app/sms", date_updated=datetime.now(UTC))

    assert "(changed 0 min ago)" in concern_about(Route(number=number)).question


def test_a_twiml_app_is_asked_about():
    """N6: it is named, with its own name if it has one."""
    number = a_number(sms_application_sid="AP5c" + "0" * 30)
    named = Application(sid="AP5c" + "0" * 30, friendly_name="menu")

    concern = concern_about(Route(number=number, application=named))

    assert concern.question == (
        f'confirm[N6]: TwiML app AP5c…00 "menu" answers {NUMBER}; it would be detached until you '
        "stop. Detach it?"
    )
    nameless = Application(sid=named.sid)
    assert "AP5c…00 answers" in concern_about(Route(number=number, application=nameless)).error.line


def test_a_service_brings_its_other_numbers_along():
    """E7: all of them are named, for all of them would be answered here."""
    number = a_number()
    busy = Route(number=number, service=a_service(inbound_request_url="https://x.example/in"))
    dropping = Route(number=number, service=a_service())

    assert f'Messaging Service "shop" (MG3a…7c), and with it {SHOP}, {DEV}' in (
        concern_about(busy, others=[SHOP, DEV]).question
    )
    assert 'Messaging Service "shop" (MG3a…7c).' in concern_about(busy).question
    assert "now calls nobody" in concern_about(dropping, others=[SHOP]).question
    assert concern_about(dropping) is None
    assert not dropping.is_free


def test_an_app_below_a_service_is_not_what_answers():
    """The service comes first; its address is what would be replaced."""
    route = Route(
        number=a_number(sms_application_sid="AP1"),
        application=Application(sid="AP1"),
        service=a_service(inbound_request_url=OLD),
        address=ConversationsAddress(sid="IG1", address=NUMBER, enabled=True),
    )

    assert concern_about(route).error.id == "N8"
    assert [problem.id for problem in route.notes(at=NOW)] == ["N17"]


# Which number


def test_the_only_number_is_meant(gateway):
    """Nobody has to name what there is one of."""
    assert choose_number(gateway, None).phone_number == NUMBER


@pytest.mark.parametrize(
    "typed",
    [SHOP, "12025550101", "202 555 0101", "(202) 555-0101", "+1 202-555-0101", "0012025550101",
     "2025550101", " +1.202.555.0101 ", "5550101"],
)  # fmt: skip
def test_a_number_may_be_typed_as_people_do(twilio, gateway, typed):
    """Blanks, dashes, `00`, no `+`, no country: as long as only one number is meant."""
    twilio.account.add_number(SHOP)

    assert choose_number(gateway, typed).phone_number == SHOP


@pytest.mark.parametrize("typed", ["020 7183 8750", "2071838750", "00442071838750", "442071838750"])
def test_a_national_number_is_found_too(twilio, gateway, typed):
    """By its last digits, without the trunk zero."""
    twilio.account.add_number(LONDON)

    assert choose_number(gateway, typed).phone_number == LONDON


def test_a_number_may_be_named_by_its_sid(twilio, gateway):
    """`PN…` is as good as the number."""
    dev = twilio.account.add_number(DEV)

    assert choose_number(gateway, dev.sid).phone_number == DEV


@pytest.mark.parametrize("typed", ["202 555 0191", "+12025550191"])
def test_an_unknown_number_is_answered_with_the_closest(twilio, gateway, typed):
    """N2, exit 5: what was understood, and what may have been meant."""
    twilio.account.numbers.clear()
    twilio.account.add_number(SHOP, friendly_name="shop")
    twilio.account.add_number(LONDON)

    with pytest.raises(NumberError) as caught:
        choose_number(gateway, typed)

    assert caught.value.line == (
        f"+12025550191 is not on AC00…00. Closest: {SHOP} (shop). "
        "(Sub-account? use that account's credentials)"
    )
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("typed", ["0101", "PN" + "0" * 32, "shop", "+", "hello"])
def test_too_few_digits_name_nobody(twilio, gateway, typed):
    """A number is not guessed."""
    twilio.account.add_number(SHOP)

    with pytest.raises(NumberError, match="N2"):
        choose_number(gateway, typed)


def test_what_is_offered_instead_can_receive(twilio, gateway):
    """However close a number for voice alone would be."""
    twilio.account.add_number("+12025550191", sms=False)

    with pytest.raises(NumberError, match=rf"Closest: \{NUMBER}"):
        choose_number(gateway, "+12025550192")


def test_digits_that_two_numbers_end_in_name_nobody(twilio, gateway):
    """Of two that fit neither is taken."""
    twilio.account.add_number("+442025550101")
    twilio.account.add_number("+492025550101")

    with pytest.raises(NumberError, match="N2"):
        choose_number(gateway, "02025550101")


def test_an_account_without_numbers(twilio, gateway):
    """N3, whether one was named or not, and where there are only voice numbers."""
    twilio.account.numbers.clear()

    with pytest.raises(NumberError, match=r"N3: .*smsquest serve --sandbox"):
        choose_number(gateway, SHOP)
    twilio.account.add_number(LONDON, sms=False)
    with pytest.raises(NumberError, match="N3"):
        choose_number(gateway, None)
    with pytest.raises(NumberError, match="N11"):
        choose_number(gateway, LONDON)


def test_several_numbers_without_a_terminal_are_listed(twilio, gateway):
    """N1: free ones first, with their names, and the flag."""
    twilio.number.sms_url = OLD
    twilio.account.add_number(SHOP, friendly_name="shop", sms_application_sid="AP1")
    twilio.account.add_number(DEV, friendly_name="dev")
    twilio.account.add_number(LONDON, sms=False)

    with pytest.raises(NumberError) as caught:
        choose_number(gateway, None)

    assert caught.value.line == (
        f"3 SMS numbers on AC00…00; pick one with --number: {DEV} (dev), {NUMBER}, {SHOP} (shop)"
    )


def test_a_long_list_is_cut(twilio, gateway):
    """A line stays a line."""
    for last in range(20):
        twilio.account.add_number(f"+1202555020{last:02}"[:12] + f"{last % 10}")

    with pytest.raises(NumberError, match="21 SMS numbers") as caught:
        choose_number(gateway, None)

    assert caught.value.line.endswith(", …")


def test_somebody_may_pick(twilio, gateway):
    """On a terminal the user is shown the usable ones, in that order."""
    twilio.number.sms_url = OLD
    twilio.account.add_number(DEV)
    shown = []

    def pick(numbers):
        shown.extend(number.phone_number for number in numbers)
        return numbers[0]

    assert choose_number(gateway, None, pick=pick).phone_number == DEV
    assert shown == [DEV, NUMBER]


def test_free_numbers_come_first():
    """In lists for people."""
    used = a_number(sms_url=OLD)
    free = a_number()

    assert by_usefulness([used, free]) == [free, used]
