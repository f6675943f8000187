"""Addresses and forms that no page of the panel leads to: what can't be is not there, and no error of the panel's."""

from itertools import product
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Transform
from django.urls import reverse

from accounts.models import Client
from bots.models import Bot
from operations.models import Operation
from tests.controlpanel.conftest import BOT, KEY, every_row, make_world, operate_url, pages_of_row, url_of

#: No row has such a number: too great for a column, too long for Python to read, a digit that no number has.
NUMBERS = ["9" * 30, "9" * 5000, "²"]
#: Values that only the database rejects, each in its own way; PostgreSQL stores no NUL.
VALUES = [*NUMBERS[:2], "a\0b"]
#: The first and the last days of the calendar. In UTC, two of them have no date.
MOMENTS = ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "9999-12-31", "0001-01-01"]


@pytest.fixture(params=["Administrator", "Account manager"])
def visitor(request, make_user, browse):
    """A user with a client; the panel's own errors are answered, as on a host, and not raised."""
    user = make_user("visitor", set())
    user.groups.add(Group.objects.get(name=request.param))
    make_world("Own", user)
    browser = browse(user)
    browser.raise_request_exception = False
    return browser


#: Each list renders hundreds of answers. An account manager's are of the same code, and of fewer rows.
OF_LISTS = pytest.mark.parametrize(
    "visitor",
    [
        "Administrator",
        pytest.param("Account manager", marks=pytest.mark.full("an administrator asks the same of more lists")),
    ],
    indirect=True,
)


def lists(visitor):
    """The lists that this visitor may see, each rendered once: the model, the address, and the page."""
    for model in admin.site._registry:
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        page = visitor.get(address)
        if page.status_code == 200:
            yield model, address, page


@pytest.mark.full("hundreds of values in each list: the pages' own parameters in a shorter run")
@OF_LISTS
@pytest.mark.timeout(300)  # hundreds of pages
def test_whatever_is_asked_of_a_list_it_answers(visitor):
    for model, address, page in lists(visitor):
        own = {name for spec in page.context["cl"].filter_specs for name in spec.expected_parameters()}
        # A list by date would read the dates of the whole table.
        assert admin.site._registry[model].date_hierarchy is None
        for name, value in product(
            {"id", "id__in", "q", "p", "o", "all", "_facets", "_popup", "_to_field", *own}, VALUES
        ):
            answer = visitor.get(address, {name: value})
            assert answer.status_code in {200, 302, 400, 404}, f"{answer.status_code} {address} {name}={value[:6]!r}"


@pytest.mark.full("each lookup of each type of a column: some of them in a shorter run")
@pytest.mark.parametrize("visitor", ["Administrator"], indirect=True)
@pytest.mark.timeout(300)  # hundreds of pages
def test_whichever_lookup_is_asked_of_a_list_it_answers(visitor):
    columns = {}  # one of each type
    for model, address, page in lists(visitor):
        columns |= {type(field): (model, address, page, field) for field in model._meta.concrete_fields}
    for model, address, page, field in columns.values():
        asked = [f"{field.name}{how}" for how in lookups_of(field)]
        taken = [n for n in asked if admin.site._registry[model].lookup_allowed(n, "1", page.wsgi_request)]
        for name, value in product(taken, ("1", "x", NUMBERS[0])):
            with transaction.atomic():
                answer = visitor.get(address, {name: value})
                transaction.set_rollback(True)  # PostgreSQL does nothing more in one with an error
            assert answer.status_code in {200, 302, 400, 404}, f"{answer.status_code} {address} {name}={value[:6]!r}"


def lookups_of(field):
    """Each lookup that Django has for a column, and for what it can make of it, such as a date's year."""
    registered = field.get_lookups()
    of_parts = {part: made.get_lookups() for part, made in registered.items() if issubclass(made, Transform)}
    beyond = {f"__{part}__{how}" for part, made in of_parts.items() for how in made}
    return sorted({"", "__nowhere", *(f"__{how}" for how in registered), *beyond})


@pytest.mark.parametrize(
    "lookup",
    [
        *("id__range", "pk__range", "id__contained_by", "name__range", "name__regex", "name__search"),
        *("name__trigram_similar", "created_at__year__range", "created_at__year", "created_at__date__range"),
        *("client__range", "client__id__range", "server__name__range", "settings__has_keys", "settings__contained_by"),
        *("settings__range", "settings__a__range", "nowhere__range", "id__exact__range", "id__in__in"),
    ],
)
@pytest.mark.parametrize("visitor", ["Administrator"], indirect=True)
def test_a_lookup_that_no_page_leads_to_is_refused(lookup, visitor):
    address = reverse(f"{BOT}_changelist")
    export = reverse(f"{BOT}_export", args=["csv"])
    for value in ("1", "x", "1,2", "9" * 30, ""):
        answers = [visitor.get(page, {lookup: value}) for page in (address, export)]
        assert {answer.status_code for answer in answers} <= {302, 400}


@pytest.mark.parametrize("visitor", ["Administrator"], indirect=True)
def test_the_lookups_of_links_and_filters_are_taken(visitor):
    client, bot = Client.objects.get(), Bot.objects.get()
    for lookups in (
        {"client__id__exact": client.pk},
        {"client": client.pk},
        {"client__isnull": "False"},
        {"pk__in": f"{bot.pk},{bot.pk + 1}"},
        {"id": bot.pk, "id__exact": bot.pk},
        {"name__icontains": bot.name.upper(), "name__startswith": bot.name[:2]},
        {"created_at__gte": "2020-01-01T00:00:00Z", "created_at__lt": "2100-01-01T00:00:00Z"},
    ):
        page = visitor.get(reverse(f"{BOT}_changelist"), lookups)
        assert page.status_code == 200 and [*page.context["cl"].result_list] == [bot], lookups


@pytest.mark.parametrize("page", ["bot", "market"])
@pytest.mark.parametrize(
    "sent", [{"connector": "a\0b"}, {"trading_pair": "\0"}, {"a\0": "b"}, {"_load": "1", "x": "\0"}]
)
def test_what_no_database_can_store_is_taken_from_no_form(sent, page, visitor):
    onboarding = f"/admin/onboard/{Client.objects.get().pk}/{page}/"
    forms = [onboarding, reverse(f"{BOT}_add"), reverse(f"{BOT}_changelist"), reverse("my_sessions"), "/admin/login/"]
    before = Operation.objects.count(), Bot.objects.count()
    for form in forms:
        for kind in ({}, {"content_type": "application/x-www-form-urlencoded", "data": urlencode(sent)}):
            answer = visitor.post(form, **({"data": sent} | kind))
            assert (answer.status_code, "NUL character" in answer.text) == (400, True), form
    assert (Operation.objects.count(), Bot.objects.count()) == before


@pytest.mark.parametrize("visitor", ["Administrator"], indirect=True)
def test_no_form_saves_a_copy(visitor):
    rows = {type(row): row for row in every_row()}
    before = {model: model._base_manager.count() for model in rows}
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        pages = [reverse(f"{name}_add")]
        pages += [reverse(f"{name}_change", args=[rows[model].pk])] if model in rows else []
        for page in pages:
            for sent in ({}, {"name": "Copy"}):
                answer = visitor.post(page, {"_saveasnew": "Save as new"} | sent)
                assert answer.status_code < 500, f"{answer.status_code} {page}"
    assert {model: model._base_manager.count() for model in rows} == before


@pytest.mark.full("rows that can't be on every page: the API and some lists in a shorter run")
@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:6])
def test_a_row_that_cannot_be_is_not_there(visitor, number):
    rows = {type(row): row for row in every_row()}
    for row in rows.values():
        for page in pages_of_row(row):
            answer = visitor.get(page.replace(f"/{row.pk}/", f"/{number}/", 1))
            assert answer.status_code in {302, 403, 404}, f"{answer.status_code} {page}"


@pytest.mark.full("rows that can't be on every page: the API and some lists in a shorter run")
@OF_LISTS
@pytest.mark.timeout(300)  # hundreds of pages
def test_a_row_that_cannot_be_cannot_be_chosen(visitor):
    before = Operation.objects.count()
    for _, address, page in lists(visitor):
        form = page.context.get("action_form")
        actions = filter(None, dict(form.fields["action"].choices)) if form else ()
        for action, number in product(actions, ["abc", "9" * 5000, "\0"]):
            chosen = {"action": action, ACTION_CHECKBOX_NAME: [number], "answered": "yes", "step": "review"}
            answer = visitor.post(address, chosen)
            assert answer.status_code == 400, f"{answer.status_code} {address} {action} {number[:6]!r}"
    assert Operation.objects.count() == before


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value[:6]))
def test_a_pages_own_parameters_may_say_anything(visitor, value):
    bot, client = Bot.objects.get(), Client.objects.get()
    pages = {
        reverse("markets"): ("client", "server", "span"),
        reverse(f"{BOT}_add"): ("clone", "client", "strategy"),
        reverse(f"{KEY}_add"): ("client", "connector"),
        reverse(f"{BOT}_unsent"): ("bot",),
        reverse(f"{BOT}_export", args=["csv"]): ("q", "client__id__exact", "id"),
        operate_url(bot, "deploy"): ("like",),
        url_of(bot, "logs"): ("q", "run", "page", "level"),
        url_of(bot, "performance"): ("run", "span", "page"),
        reverse("admin:markets_bot_trades", args=[bot.pk]): ("since", "until", "side", "page"),
        reverse("client_report", args=[client.pk]): ("first", "last"),
        url_of(client): ("_changelist_filters", "_popup", "_to_field"),
        reverse("admin:bots_strategy_from_server"): ("server", "controller"),
        reverse("admin:autocomplete"): ("term", "app_label", "model_name", "field_name", "page"),
    }
    for page, names in pages.items():
        for name in names:
            answer = visitor.get(page, {name: value})
            assert answer.status_code in {200, 302, 400, 403, 404}, f"{answer.status_code} {page} {name}"
    assert visitor.post(reverse("my_sessions"), {"began": value}).status_code in {400, 404}
    converted = visitor.post(reverse(f"{BOT}_settings"), {"strategy": value, "settings_json": "{}"})
    if "\0" in value:
        assert converted.status_code == 400
    else:
        assert converted.json() == {"refused": "Choose a strategy first."}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_time_at_the_end_of_the_calendar_is_no_error(visitor, moment):
    bot, client = Bot.objects.get(), Client.objects.get()
    pages = {
        reverse("admin:markets_bot_trades", args=[bot.pk]): ("since", "until"),
        reverse("admin:markets_bot_trades_export", args=[bot.pk, "csv"]): ("since", "until"),
        reverse("client_report", args=[client.pk]): ("first", "last"),
        reverse("client_report_json", args=[client.pk]): ("first", "last"),
        reverse("client_report_links", args=[client.pk]): ("first", "last"),
        reverse(f"{BOT}_changelist"): ("created_at__gte", "created_at__lt", "created_at"),
        reverse(f"{BOT}_export", args=["csv"]): ("created_at__gte", "created_at__lt", "created_at"),
    }
    for page, names in pages.items():
        for name in names:
            with transaction.atomic():
                answer = visitor.get(page, {name: moment})
                transaction.set_rollback(True)  # PostgreSQL does nothing more in one with an error
            assert answer.status_code in {200, 302, 400, 404}, f"{answer.status_code} {page} {name}"
    assert visitor.post(reverse("my_sessions"), {"began": moment}).status_code == 404


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
@pytest.mark.parametrize("visitor", ["Administrator"], indirect=True)
def test_a_token_ends_on_a_day_that_every_database_can_store(zone, visitor, settings):
    settings.TIME_ZONE = zone
    facts = {"name": "tool", "scopes": ["read"], "expires_at_0": "9999-12-31", "expires_at_1": "23:59:59"}
    answer = visitor.post("/admin/json_api/token/add/", facts)
    assert answer.status_code == 200
    assert ("This time is too far away." in answer.text) == (zone == "America/New_York")
    assert visitor.get("/admin/json_api/token/").status_code == 200


def test_an_error_of_the_panels_own_is_not_hidden_as_the_visitors(visitor, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError

    monkeypatch.setattr(admin.site._registry[Bot], "get_list_display", fail)
    assert visitor.get(reverse(f"{BOT}_changelist")).status_code == 500
