"""Clients' balances: read from the servers in the background, kept over time, of clients only."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from accounts import tasks
from accounts.balances.portfolio import ValuationHistory, read_balances, valuation_history, valuations
from accounts.models import Balance, Client, CredentialsProfile, Server
from accounts.polling import Poll
from accounts.templatetags.balances import reported
from core.figures.time_ranges import SPANS
from core.figures.time_series import KEPT_HOURLY
from hummingbot_api.resources import Portfolio
from hummingbot_api.results import Holding, PortfolioSnapshot
from operations.models import State
from tests.conftest import PLANTED
from tests.controlpanel.conftest import text_of

NOW = timezone.now()


@pytest.fixture
def profile(key, perform) -> CredentialsProfile:
    assert perform("push_profile", key.client).state == State.SUCCEEDED
    return CredentialsProfile.objects.get()


def holds(**values: float) -> dict[str, tuple[Holding, ...]]:
    """One token on each of these exchanges."""
    return {name: (Holding("USDT", value, value, 1.0, value),) if value else () for name, value in values.items()}


@pytest.fixture
def answer(monkeypatch):
    """Have the server report this about the accounts, and no history."""
    state: dict = {}
    monkeypatch.setattr(Portfolio, "state", lambda self, accounts: {name: state[name] for name in accounts})
    monkeypatch.setattr(Portfolio, "history", lambda self, account, since: [])
    return state


def newest(profile: CredentialsProfile) -> Balance:
    (worth,) = valuations(profile.client.profiles.all(), NOW)
    return worth.now


def kept(profile: CredentialsProfile) -> list[Balance]:
    return list(profile.balances.order_by("taken_at"))


def test_what_a_client_holds_is_kept_with_its_value_and_its_tokens(profile, server):
    read_balances(server)
    balance = newest(profile)
    tokens = balance.holdings["bitmart"]
    assert [token["token"] for token in tokens] == ["USDT", "BTC"]
    assert balance.value == pytest.approx(sum(token["value"] for token in tokens))
    assert balance.taken_at.second == 0
    assert (balance.unreported, balance.unpriced) == ([], [])


def test_only_clients_accounts_are_requested_and_stored(profile, server, sandbox):
    sandbox.world.accounts["somebody_elses"] = {"bitmart": PLANTED}
    sandbox.requests.clear()
    read_balances(server)
    assert {balance.profile for balance in Balance.objects.all()} == {profile}
    assert [request.path for request in sandbox.requests] == ["/portfolio/state", "/portfolio/history"]
    assert [request.json["account_names"] for request in sandbox.requests] == [["client_sharp"]] * 2


def test_a_server_without_clients_is_not_asked(server, sandbox):
    read_balances(server)
    assert not sandbox.requests


def test_two_polls_in_the_same_minute_keep_the_later_balance(profile, server, answer, monkeypatch):
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    for value in (10, 20):
        answer["client_sharp"] = holds(bitmart=value)
        read_balances(server)
    assert [balance.value for balance in kept(profile)] == [20]


def test_what_it_consists_of_is_kept_of_the_newest_only(profile, server, answer):
    profile.balances.create(taken_at=NOW - timedelta(minutes=5), value=1, holdings={"bitmart": []})
    answer["client_sharp"] = holds(bitmart=20)
    read_balances(server)
    assert [balance.holdings is None for balance in kept(profile)] == [True, False]


@pytest.mark.parametrize("nothing", [{}, holds(bitmart=0)])
def test_a_server_that_has_read_nothing_does_not_make_a_client_poor(nothing, profile, server, answer):
    answer["client_sharp"] = nothing
    read_balances(server)
    assert kept(profile) == []


def test_a_connector_that_was_not_read_and_a_token_without_a_price_are_named(profile, server, answer):
    profile.connectors = ["bitmart", "okx"]
    profile.save()
    answer["client_sharp"] = {"bitmart": (Holding("SHARP", 5, 5, 0, 0), *holds(x=7)["x"]), "okx": ()}
    read_balances(server)
    balance = newest(profile)
    assert (balance.value, balance.unreported, balance.unpriced) == (7, ["okx"], ["SHARP"])


def test_a_gap_is_filled_from_the_servers_history_and_nothing_else_is_requested(profile, server, answer, monkeypatch):
    answer["client_sharp"] = holds(bitmart=9)
    asked: list[datetime] = []

    def history(self, account: str, since: datetime) -> list[PortfolioSnapshot]:
        asked.append(since)
        moments = [since + timedelta(hours=hour) for hour in (-1, 0, 1, 2, 4)]
        told_then = [
            holds(bitmart=1),
            holds(bitmart=2),
            holds(bitmart=3),
            {},
            holds(bitmart=5),
        ]
        return [PortfolioSnapshot(*snapshot) for snapshot in zip(moments, told_then, strict=True)]

    monkeypatch.setattr(Portfolio, "history", history)
    last = (NOW - timedelta(hours=3)).replace(second=0, microsecond=0)
    profile.balances.create(taken_at=last, value=2)
    read_balances(server)
    # Known already, nothing read, and in the future, as a fast clock has it, are left out.
    assert [balance.value for balance in kept(profile)] == [2, 3, 9]
    read_balances(server)
    assert asked == [last]


def test_the_last_month_is_requested_for_a_new_client(profile, server, sandbox):
    sandbox.world.born_at -= 5 * 3600
    sandbox.requests.clear()
    read_balances(server)
    (asked,) = [request.json for request in sandbox.requests if request.path == "/portfolio/history"]
    begin = datetime.fromtimestamp(asked["start_time"] / 1000, UTC)
    assert timezone.now() - begin - KEPT_HOURLY < timedelta(minutes=2)
    assert len(kept(profile)) >= 4


@pytest.mark.parametrize("fault", ["refused_connection", "server_error", "wrong_password", "truncated_json"])
def test_a_server_that_cannot_be_asked_is_left_for_the_next_time(fault, profile, server, sandbox):
    sandbox.faults.add(fault)
    read_balances(server)
    assert kept(profile) == []
    sandbox.faults.clear()
    read_balances(server)
    assert kept(profile)


def test_a_server_that_keeps_no_history_is_believed_about_the_present(profile, server, sandbox):
    sandbox.faults.add("server_error", path="/portfolio/history")
    read_balances(server)
    assert len(kept(profile)) == 1


def test_servers_with_clients_are_asked_and_others_are_left_alone(profile, monkeypatch):
    enqueued: list[int] = []
    monkeypatch.setattr(Poll, "start", lambda poll, server_id: enqueued.append(server_id))
    Server.objects.create(name="Idle", base_url="http://127.0.0.1:9", password="x")
    tasks.poll_balances.call_local()
    assert enqueued == [profile.server_id]
    Server.objects.update(reachable=False)  # the poll tells when it is back
    tasks.poll_balances.call_local()
    assert enqueued == [profile.server_id]


def test_the_task_reads(profile):
    tasks.BALANCES.run_if_due(profile.server_id)
    assert kept(profile)


def test_of_hundreds_of_tokens_the_most_valuable_are_shown_and_the_rest_is_added_up(profile, admin_client):
    tokens = [
        {"token": f"T{number:03}", "units": 1.0, "available_units": 1.0, "price": number, "value": number}
        for number in range(1, 301)
    ]
    Balance.objects.create(
        profile=profile, taken_at=NOW, value=45150, holdings={"bitmart": tokens[::2], "binance": tokens[1::2]}
    )
    balance = newest(profile)
    assert [token["token"] for _, token in balance.greatest] == [f"T{number}" for number in range(300, 290, -1)]
    assert (len(balance.smaller), balance.smaller_value) == (290, 42195)
    page = admin_client.get(reverse("client_keys", args=[profile.client.pk])).content.decode()
    assert "290 smaller tokens, 42,195.00 in total" in page


# --- over time ---

#: A full hour and some minutes.
AT = datetime(2026, 3, 14, 15, 10, tzinfo=UTC)


def over_time(span: str = "day", profiles: QuerySet[CredentialsProfile] | None = None) -> ValuationHistory | None:
    return valuation_history(profiles or CredentialsProfile.objects.all(), SPANS[span], AT)


def hold(profile: CredentialsProfile, **values: float) -> None:
    """Store the profile's value so many hours ago: ``h30=…`` is 30 hours."""
    for hours, value in values.items():
        profile.balances.create(taken_at=AT - timedelta(hours=float(hours[1:])), value=value)


@pytest.fixture
def other(profile, server) -> CredentialsProfile:
    blunt = Client.objects.create(name="Blunt", account_name="client_blunt", server=server)
    return CredentialsProfile.objects.create(client=blunt, server=server, account_name="client_blunt")


def test_a_clients_value_is_shown_for_each_hour_of_a_day_and_for_now(profile):
    hold(profile, h26=1, h3=5, h2=7, h0=4)
    answer = over_time()
    assert answer.moments[-1] == AT
    assert answer.moments[-2] == AT - timedelta(minutes=10)
    assert answer.values == [1] * 22 + [5, 7, 7, 4]
    assert (answer.lowest, answer.highest) == (1, 7)
    assert answer.rows[0] == (AT, 4)


def test_what_was_not_seen_for_a_day_is_not_known(profile):
    hold(profile, h60=3, h2=7, h0=8)
    assert over_time("day").values == [None] * 23 + [7, 7, 8]


def test_a_profile_that_was_not_seen_for_hours_counts_as_it_was_seen_last(profile, other):
    hold(profile, h20=100, h0=100)
    hold(other, h20=10, h19=10)
    assert over_time().values[-1] == 110
    assert over_time(profiles=CredentialsProfile.objects.filter(pk=other.pk)).values[-1] == 10


def test_with_too_little_for_a_line_nothing_is_drawn(profile):
    assert over_time() is None
    hold(profile, h0=8)
    assert over_time() is None


@pytest.mark.parametrize(("span", "points"), [("day", 26), ("week", 30), ("month", 32)])
def test_however_far_it_goes_back_it_is_one_query_and_some_thirty_points(
    span, points, profile, other, django_assert_num_queries
):
    for each in (profile, other):
        hold(each, **{f"h{hours}": hours for hours in range(0, 800, 7)})
    with django_assert_num_queries(1):
        answer = over_time(span)
    assert len(answer.values) == len(answer.moments) == pytest.approx(points, abs=1)
    assert None not in answer.values


def test_a_clients_page_shows_its_last_week_as_a_chart_and_a_table(profile, admin_client):
    for hours, value in ((30, 900), (0, 1000.5)):
        profile.balances.create(taken_at=timezone.now() - timedelta(hours=hours), value=value)
    page = " ".join(admin_client.get(reverse("client_keys", args=[profile.client.pk])).content.decode().split())
    assert "Between 900.00 and 1,000.50 in the last 7 days." in page
    assert 'data-label="Value">1,000.50<' in page


# --- thinning, the same for all that is kept over time ---


def test_of_what_is_older_than_two_days_each_hours_last_is_kept_and_after_a_month_each_days(profile):
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    for days in (1, 3, 40, 41):
        for minutes in (0, 5, 23 * 60):
            taken_at = midnight - timedelta(days=days) + timedelta(minutes=minutes)
            profile.balances.create(taken_at=taken_at, value=minutes)
    tasks.downsample_balances.call_local()
    assert [balance.value for balance in kept(profile)] == [23 * 60, 23 * 60, 5, 23 * 60, 0, 5, 23 * 60]


def test_series_are_downsampled_separately(profile, other):
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    for owner in (profile, other):
        for minutes in (0, 5, 65):
            owner.balances.create(taken_at=hour + timedelta(minutes=minutes), value=minutes)
    assert sorted(Balance.objects.hourly().values_list("value", flat=True)) == [5, 5, 65, 65]
    assert list(Balance.objects.newest().values_list("value", flat=True)) == [65, 65]
    assert Balance.objects.since(hour + timedelta(minutes=5)).count() == 4


# --- what is not reported ---


@pytest.mark.parametrize("value", [None, "n/a", "12.5"])
def test_what_is_not_reported_is_shown_as_such_and_never_as_zero(value, profile, server, sandbox, admin_client):
    sandbox.faults.add("balances_unreadable", value=value)
    read_balances(server)
    balance = newest(profile)
    usdt, btc = balance.holdings["bitmart"]
    assert balance.value == usdt["value"] > 0
    assert (btc["units"], btc["value"]) == (None, None)
    assert (balance.unvalued, balance.unpriced) == (["BTC"], [])
    page = text_of(admin_client.get(reverse("client_keys", args=[profile.client.pk])))
    row = page.partition('<th scope="row">BTC</th>')[2].partition("</tr>")[0]
    assert row.count("not reported") == 4
    assert "did not report a value: BTC" in page
    assert "or more" in text_of(admin_client.get(reverse("markets")))


def test_a_balance_of_which_nothing_is_reported_is_not_kept(profile, server, answer):
    answer["client_sharp"] = {"bitmart": (Holding("BTC", None, None, None, None),)}
    read_balances(server)
    assert not kept(profile)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.05e-9, "0.00000000105"),
        (1.23456e-7, "0.0000001235"),
        (-3e-12, "-0.000000000003"),
        (9e-18, "0.000000000000000009"),
        (0, "0"),
        (0.00012345, "0.00012345"),
        (1234.5, "1,234.50000000"),
        (20000.0, "20,000"),
        (None, "not reported"),
    ],
)
def test_a_small_price_is_shown_with_its_digits(number, text):
    assert reported(number) == text
