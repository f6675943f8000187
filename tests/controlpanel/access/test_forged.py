"""Addresses and forms that no page of the panel leads to: what can't be is not there, and no error of the panel's."""

from itertools import product

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Group
from django.urls import reverse

from accounts.models import Client
from bots.models import Bot
from operations.models import Operation
from tests.controlpanel.conftest import BOT, KEY, every_row, make_world, operate_url, pages_of_row, url_of

#: No row has such a number: too great for a column, too long for Python to read, a digit that no number has.
NUMBERS = ["9" * 30, "9" * 5000, "²"]
#: Values that only the database rejects, each in its own way; PostgreSQL stores no NUL.
VALUES = [*NUMBERS[:2], "a\0b"]


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
        for name, value in product({"id", "id__in", "q", "p", *own}, VALUES):
            answer = visitor.get(address, {name: value})
            assert answer.status_code in {200, 302, 400, 404}, f"{answer.status_code} {address} {name}={value[:6]!r}"


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
        url_of(client): ("_changelist_filters", "_popup", "_to_field"),
        reverse("admin:bots_strategy_from_server"): ("server", "controller"),
        reverse("admin:autocomplete"): ("term", "app_label", "model_name", "field_name", "page"),
    }
    for page, names in pages.items():
        for name in names:
            answer = visitor.get(page, {name: value})
            assert answer.status_code in {200, 302, 400, 403, 404}, f"{answer.status_code} {page} {name}"
    converted = visitor.post(reverse(f"{BOT}_settings"), {"strategy": value, "settings_json": "{}"})
    assert converted.json() == {"refused": "Choose a strategy first."}


def test_an_error_of_the_panels_own_is_not_hidden_as_the_visitors(visitor, monkeypatch):
    def fail(*args, **kwargs):
        raise ValueError

    monkeypatch.setattr(admin.site._registry[Bot], "get_list_display", fail)
    assert visitor.get(reverse(f"{BOT}_changelist")).status_code == 500
