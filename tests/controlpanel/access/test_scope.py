"""Account managers see their own clients and what belongs to them; a button needs the permission for what it does."""

import json
from collections.abc import Iterator

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, CredentialsProfile
from bots.models import Bot, BotState, Strategy
from operations.models import Operation, State
from operations.services import operation_request
from tests.conftest import PLANTED
from tests.controlpanel.conftest import (
    BOT,
    CLIENT,
    KEY,
    MANAGER_PERMISSIONS,
    OPERATION,
    SERVER,
    make_world,
    operate_url,
    pages_of_row,
    prefilled,
    text_of,
    url_of,
)

LISTS = (CLIENT, SERVER, KEY, BOT, OPERATION, "admin:bots_deployment")


@pytest.fixture
def manager(make_user):
    return make_user("manager")


@pytest.fixture
def own(manager) -> dict[str, Model]:
    return make_world("Own", manager)


@pytest.fixture
def foreign(make_user) -> dict[str, Model]:
    return make_world("Foreign", make_user("colleague"))


@pytest.fixture
def browser(own, foreign, manager, browse):
    return browse(manager)


def addresses(rows: dict[str, Model]) -> Iterator[str]:
    for row in rows.values():
        if type(row) in admin.site._registry:
            yield from pages_of_row(row)


def test_lists_and_their_filters_name_own_clients_only(browser, own, foreign):
    for name in LISTS:
        page = text_of(browser.get(reverse(f"{name}_changelist")))
        assert "Own" in page, name
        assert "foreign" not in page.lower(), name


def test_a_filter_or_a_search_for_another_managers_client_finds_nothing(browser, own, foreign):
    client = foreign["client"]
    for name, query in (
        (BOT, {"client__id__exact": client.pk}),
        (KEY, {"client__id__exact": client.pk}),
        (BOT, {"q": "Foreign"}),
        (CLIENT, {"q": "Foreign"}),
        (OPERATION, {"q": "Foreign"}),
    ):
        found = browser.get(reverse(f"{name}_changelist"), query).context["cl"].result_list
        assert "Foreign" not in str(list(found)), name


def test_own_pages_open_and_do_not_name_other_managers_clients(browser, own, foreign):
    # Deleting, recreating a profile, and what channels there are, is not an account manager's.
    others = ("/delete/", "/channel/", "/recreate_profile/")
    general = [*(reverse(f"{name}_add") for name in (CLIENT, KEY, BOT)), reverse("admin:index")]
    for page in [*addresses(own), *general]:
        response = browser.get(page)
        assert response.status_code == 200 or any(part in page for part in others), f"{response.status_code} {page}"
        assert "foreign" not in text_of(response).lower(), page


def test_a_guessed_address_of_another_managers_row_is_not_found(browser, foreign):
    before, led = list(Operation.objects.values()), 0
    for page in addresses(foreign):
        response = browser.get(page)
        if response.status_code == 302:
            assert response["Location"] == reverse("admin:index"), page
            led += 1
        else:
            assert response.status_code in {403, 404}, f"{response.status_code} {page}"
        assert "Foreign" not in text_of(response), page
    # It says of each that it is not there.
    index = browser.get(reverse("admin:index"))
    assert (index.status_code, len(index.context["messages"])) == (200, led)
    assert "Foreign" not in text_of(index)
    for row in foreign.values():
        acts = ("retry", "cancel") if isinstance(row, Operation) else ()
        for page in (url_of(row, act) for act in acts):
            assert browser.post(page).status_code == 404, page
    for name, kind in (
        ("server", "check_server"),
        ("client", "push_profile"),
        ("key", "push_profile"),
        ("key", "rotate_key"),
        ("bot", "deploy"),
    ):
        assert browser.post(operate_url(foreign[name], kind), {"answered": "yes"}).status_code == 404
    assert list(Operation.objects.values()) == before


def test_a_change_sent_to_another_managers_page_changes_nothing(browser, foreign):
    browser.post(url_of(foreign["client"]), {"name": "Stolen", "server": foreign["server"].pk, "status": "active"})
    browser.post(url_of(foreign["key"], "rotate"), dict.fromkeys(PLANTED, "stolen"))
    browser.post(url_of(foreign["bot"]), {"name": "Stolen"})
    for name in ("client", "key", "bot"):
        foreign[name].refresh_from_db()
    assert (foreign["client"].name, foreign["bot"].name) == ("Foreign", "Foreign bot")
    assert "stolen" not in foreign["key"].read_values().values()


def test_an_action_of_a_list_leaves_out_rows_that_were_smuggled_in(browser, own, foreign):
    Operation.objects.all().delete()
    facts = {"action": "deploy", ACTION_CHECKBOX_NAME: [own["bot"].pk, foreign["bot"].pk], "answered": "yes"}
    browser.post(reverse(f"{BOT}_changelist"), facts)
    assert [operation.subject for operation in Operation.objects.all()] == [own["bot"]]
    foreign_operation = operation_request(kind="deploy", subject=foreign["bot"])
    facts = {"action": "cancel_selected", ACTION_CHECKBOX_NAME: [foreign_operation.pk]}
    browser.post(reverse(f"{OPERATION}_changelist"), facts)
    foreign_operation.refresh_from_db()
    assert foreign_operation.state == State.QUEUED


def test_forms_offer_own_clients_and_servers_only_and_take_no_others(browser, own, foreign):
    for name, fields in ((CLIENT, ["server"]), (KEY, ["client"]), (BOT, ["client", "server"])):
        form = browser.get(reverse(f"{name}_add")).context["adminform"].form
        for field in fields:
            assert list(form.fields[field].queryset) == [own[field]], (name, field)
    spread = Strategy.objects.get(name="spread").pk
    for name, facts, field in (
        (CLIENT, {"name": "New", "status": "active", "server": foreign["server"].pk}, "server"),
        (KEY, {"client": foreign["client"].pk, "connector": "bitmart", **PLANTED}, "client"),
        (BOT, {"client": foreign["client"].pk, "name": "New", "strategy": spread}, "client"),
        (BOT, {"client": own["client"].pk, "server": foreign["server"].pk, "strategy": spread}, "server"),
    ):
        form = browser.post(reverse(f"{name}_add"), facts).context["adminform"].form
        assert "Select a valid choice" in str(form.errors[field]), (name, field)


def test_autocompletes_find_own_clients_only(browser, own):
    for model, field in (("bot", "client"), ("bot", "server")):
        query = {"app_label": "bots", "model_name": model, "field_name": field, "term": ""}
        found = json.loads(browser.get(reverse("admin:autocomplete"), query).content)
        assert [row["id"] for row in found["results"]] == [str(own[field].pk)]


def test_profiles_that_are_other_clients_are_not_offered(own, foreign, manager, browse):
    manager.user_permissions.add(Permission.objects.get(codename="adopt_profile"))
    browser = browse(manager)
    server = own["server"]
    server.contact_succeeded(account_names=["free", "client_Own", "client_Colleague", "old_Colleague"])
    other = Client.objects.create(name="Colleague", account_name="client_Colleague", server=server)
    CredentialsProfile.objects.create(client=other, server=server, account_name="old_Colleague")
    page = browser.get(reverse(f"{CLIENT}_add"))
    assert "Colleague" not in text_of(page)
    assert page.context["adminform"].form.fields["existing_profile"].choices[1:] == [
        (server.name, [(f"{server.pk}:free", "free")])
    ]
    assert "Colleague" not in text_of(browser.get(url_of(server)))


def test_without_the_permission_no_profile_is_adopted_by_choosing_it(browser, own):
    server = own["server"]
    server.contact_succeeded(account_names=["free"])
    page = browser.get(reverse(f"{CLIENT}_add"))
    assert "existing_profile" not in page.context["adminform"].form.fields
    assert "existing_profile" not in text_of(page)
    facts = {"name": "New", "server": server.pk, "status": "active", "existing_profile": f"{server.pk}:free"}
    assert browser.post(reverse(f"{CLIENT}_add"), facts).status_code == 302
    new = Client.objects.get(name="New")
    assert (new.account_name, new.is_pushed) == ("client_new", False)


def test_only_users_with_permission_choose_a_clients_manager(browser, own, manager, admin_client):
    page = browser.get(reverse(f"{CLIENT}_add"))
    assert "account_manager" not in text_of(page)
    assert admin_client.get(reverse(f"{CLIENT}_add")).context["adminform"].form["account_manager"].value() is None


def test_an_account_manager_is_not_led_to_a_users_page_that_is_closed_to_it(browser, own, manager):
    page = text_of(browser.get(own["client"].get_absolute_url()))
    assert str(manager) in page
    assert "/auth/user/" not in page


def test_a_first_client_can_use_an_open_server_of_which_only_the_name_is_shown(foreign, make_user, browse):
    server = foreign["server"]
    newcomer = make_user("newcomer")
    browser = browse(newcomer)
    facts = {"name": "First", "server": server.pk, "status": "onboarding"}
    assert "Select a valid choice" in text_of(browser.post(reverse(f"{CLIENT}_add"), facts))
    server.open_to_new_clients = True
    server.save()
    page = text_of(browser.get(reverse(f"{CLIENT}_add")))
    assert server.name in page and server.base_url not in page
    assert browser.get(url_of(server)).status_code == 302
    assert browser.post(reverse(f"{CLIENT}_add"), facts).status_code == 302
    client = Client.objects.get(name="First")
    assert client.account_manager == newcomer
    assert browser.get(url_of(server)).status_code == 200


def test_a_manager_neither_takes_a_client_nor_hands_one_on(browser, own, manager, make_user):
    colleague = make_user("successor")
    new = {"name": "New", "server": own["server"].pk, "status": "active", "account_manager": colleague.pk}
    assert browser.post(reverse(f"{CLIENT}_add"), new).status_code == 302
    assert Client.objects.get(name="New").account_manager == manager
    for handed_to in (colleague.pk, ""):
        facts = {"name": "Own", "server": own["server"].pk, "status": "paused", "account_manager": handed_to}
        assert browser.post(url_of(own["client"]), facts | {"account_name": "client_Own"}).status_code == 302
        own["client"].refresh_from_db()
        assert (own["client"].status, own["client"].account_manager) == ("paused", manager)


def test_a_user_with_permission_reassigns_a_client(own, make_user, browse):
    colleague = make_user("colleague")
    browser = browse(make_user("head", MANAGER_PERMISSIONS | {"accounts.view_every_client", "accounts.assign_client"}))
    facts = {"name": "Own", "server": own["server"].pk, "status": "active", "account_manager": colleague.pk}
    assert browser.post(url_of(own["client"]), facts | {"account_name": "client_Own"}).status_code == 302
    own["client"].refresh_from_db()
    assert own["client"].account_manager == colleague


def test_what_others_use_too_is_not_deleted_by_who_does_not_see_them(own, foreign, make_user, browse):
    custom = Strategy.objects.create(name="custom", kind="controller", controller_type="generic")
    Bot.objects.filter(pk=foreign["bot"].pk).update(strategy=custom)
    user = make_user("deleter", MANAGER_PERMISSIONS | {"accounts.delete_server", "bots.delete_strategy"})
    Client.objects.filter(pk__in=[own["client"].pk]).update(account_manager=user, server=foreign["server"])
    browser = browse(user)
    for row in (custom, foreign["server"]):
        assert browser.get(url_of(row, "delete")).status_code == 403
        page = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_changelist")
        answer = browser.post(page, {"action": "delete_selected", ACTION_CHECKBOX_NAME: [row.pk]}, follow=True)
        assert "Foreign bot" not in text_of(answer)
        row.refresh_from_db()


def test_only_users_with_permission_declare_an_instance_gone(own, manager, make_user, browse):
    Operation.objects.all().delete()
    bot, deployment = own["bot"], own["deployment"]
    deployment.update(sent_at=timezone.now(), observed_state=BotState.NOT_LISTED)
    bot.deployment = deployment
    bot.save(update_fields=["deployment"])
    operator = make_user("operator", MANAGER_PERMISSIONS | {"accounts.view_every_client", "bots.declare_gone"})
    for user, may in ((manager, False), (operator, True)):
        browser = browse(user)
        assert ('name="gone"' in text_of(browser.get(operate_url(bot, "deploy")))) is may
        browser.post(operate_url(bot, "deploy"), {"answered": "yes", "gone": "on"})
        operation = Operation.objects.latest("pk")
        assert bool(operation.options.get("gone")) is may
        Operation.objects.update(state=State.FAILED)
    page = browse(manager).get(operation.get_absolute_url())
    assert page.status_code == 200 and url_of(operation, "retry") not in text_of(page)
    assert browse(manager).post(url_of(operation, "retry")).status_code == 403


def test_a_user_with_permission_sees_every_client(own, foreign, make_user, browse):
    browser = browse(make_user("head", MANAGER_PERMISSIONS | {"accounts.view_every_client"}))
    for name in LISTS:
        page = text_of(browser.get(reverse(f"{name}_changelist")))
        assert "Own" in page and "Foreign" in page, name


@pytest.mark.parametrize(
    ("missing", "subject", "kind"),
    [
        ("accounts.check_server", "server", "check_server"),
        ("accounts.push_profile", "client", "push_profile"),
        ("accounts.push_profile", "client", "verify_profile"),
        ("accounts.push_profile", "key", "push_profile"),
        ("accounts.push_profile", "key", "test_key"),
        ("accounts.push_profile", "key", "rotate_key"),
        ("bots.change_live_settings", "bot", "pause"),
        ("bots.change_live_settings", "bot", "apply_settings"),
        ("bots.deploy_bot", "bot", "deploy"),
        ("bots.deploy_bot", "bot", "redeploy"),
        ("bots.start_bot", "bot", "start"),
        ("bots.stop_bot", "bot", "stop"),
        ("bots.archive_bot", "bot", "archive"),
    ],
)
def test_without_the_permission_there_is_no_button_no_action_and_no_way(missing, subject, kind, make_user, browse):
    user = make_user("trainee", MANAGER_PERMISSIONS - {missing})
    row = make_world("Own", user)[subject]
    browser = browse(user)
    before = Operation.objects.count()
    page = browser.get(url_of(row))
    assert page.status_code == 200
    assert operate_url(row, kind) not in text_of(page)
    changelist = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_changelist")
    assert f'<option value="{kind}">' not in text_of(browser.get(changelist))
    for response in (
        browser.get(operate_url(row, kind)),
        browser.post(operate_url(row, kind), {"answered": "yes"}),
    ):
        assert response.status_code == 403
    browser.post(changelist, {"action": kind, ACTION_CHECKBOX_NAME: [row.pk], "answered": "yes"})
    assert Operation.objects.count() == before


def test_rows_that_are_not_visible_cannot_be_operated_on_either(make_user, browse):
    user = make_user("blind", MANAGER_PERMISSIONS - {"bots.view_bot", "bots.change_bot"})
    world = make_world("Own", user)
    before = Operation.objects.count()
    browser = browse(user)
    assert browser.get(operate_url(world["bot"], "stop")).status_code == 403
    assert browser.post(operate_url(world["bot"], "stop"), {"answered": "yes"}).status_code == 403
    assert Operation.objects.count() == before


def test_without_the_permission_an_operation_can_be_read_and_neither_retried_nor_cancelled(make_user, browse):
    user = make_user("trainee", MANAGER_PERMISSIONS - {"bots.deploy_bot"})
    operation = make_world("Own", user)["deploy"]
    browser = browse(user)
    page = browser.get(operation.get_absolute_url())
    assert page.status_code == 200
    for act in ("retry", "cancel"):
        assert url_of(operation, act) not in text_of(page)
        assert browser.post(url_of(operation, act)).status_code == 403
    operation.refresh_from_db()
    assert operation.state == State.QUEUED


def test_saving_ones_own_bot_needs_only_the_managers_permissions(browser, own):
    spread = Strategy.objects.get(name="spread")
    facts = {
        "name": "Own bot",
        "server": own["server"].pk,
        "connector": "bitmart",
        "trading_pair": "sharp/usdt",
        "strategy": spread.pk,
        "image": "hummingbot/hummingbot:latest",
        **prefilled(spread, order_amount="7"),
    }
    assert browser.post(url_of(own["bot"]), facts).status_code == 302
    own["bot"].refresh_from_db()
    assert own["bot"].settings["order_amount"] == 7


def test_a_user_who_is_no_staff_has_no_panel(own, make_user, browse):
    outsider = make_user("outsider")
    outsider.is_staff = False
    outsider.save()
    assert browse(outsider).get(reverse("admin:index")).status_code == 302


# --- code that runs with every client's keys ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image", ["evil.example/hummingbot:latest", "hummingbot/hummingbot-x", "hummingbot/hummingbot:5/x"]
)
def test_an_account_manager_cannot_run_a_custom_image(browser, own, image, post_bot):
    refused = post_bot(own["bot"], image=image)

    assert list(refused.context["adminform"].form.errors) == ["image"]
    assert Bot.objects.get(pk=own["bot"].pk).image != image


@pytest.mark.parametrize("image", ["hummingbot/hummingbot", "hummingbot/hummingbot:version-2.9.0"])
def test_an_account_manager_chooses_among_hummingbots_own_images(own, image, post_bot):
    assert post_bot(own["bot"], image=image).status_code == 302
    assert Bot.objects.get(pk=own["bot"].pk).image == image


def test_an_image_that_an_authorized_user_chose_can_be_reused(own, foreign, post_bot):
    Bot.objects.filter(pk=foreign["bot"].pk).update(image="registry.example.com/ours:1")

    assert post_bot(own["bot"], image="registry.example.com/ours:1").status_code == 302


def test_a_bulk_edit_does_not_introduce_a_custom_image(browser, own):
    chosen = {ACTION_CHECKBOX_NAME: [own["bot"].pk], "action": "bulk_edit", "change": "image", "image": "evil/x"}
    for step in ("review", "save"):
        browser.post(reverse(f"{BOT}_changelist"), {**chosen, "step": step})

    assert Bot.objects.get(pk=own["bot"].pk).image == "hummingbot/hummingbot:latest"


@pytest.fixture
def post_bot(browser, own):
    def post(bot: Bot, **changes):
        facts = {"name": bot.name, "server": bot.server_id, "strategy": bot.strategy_id, "connector": bot.connector}
        facts |= {"trading_pair": bot.trading_pair, "image": bot.image, "headless": "on"}
        return browser.post(url_of(bot), facts | prefilled(bot.strategy, order_amount=1) | changes)

    return post


# --- what an address may filter by ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "query"),
    [
        (SERVER, "clients"),
        (CLIENT, "bots__isnull"),
        ("admin:bots_strategy", "bots"),
        # What leads to a row without a name for the way back.
        (BOT, "+"),
        (BOT, "+__isnull"),
        (BOT, "EmergencyStop_bots+__id"),
        ("admin:operations_operation", "+__gt"),
    ],
)
def test_a_list_does_not_reveal_related_rows_of_others(browser, name, query):
    assert browser.get(reverse(f"{name}_changelist"), {query: 1}).status_code == 400


@pytest.mark.parametrize(
    "query",
    [{"base_url__startswith": "http"}, {"username__startswith": "a"}, {"password__isnull": 0}, {"username": "a"}],
)
def test_a_filter_of_the_server_list_does_not_reveal_hidden_fields(query, own, make_user, browse):
    servers = reverse(f"{SERVER}_changelist")
    looks = {"accounts.view_server", "accounts.view_every_client"}
    assert browse(make_user("viewer", looks)).get(servers, query).status_code == 400
    if "password__isnull" not in query:
        assert browse(make_user("operator", looks | {"accounts.change_server"})).get(servers, query).status_code == 200


@pytest.mark.parametrize("number", ["9" * 30, "9" * 5000, "abc"])
def test_a_number_that_no_row_can_have_finds_nothing(browser, number):
    page = browser.get(reverse(f"{BOT}_unsent"), {"bot": number})

    assert (page.status_code, page.context["bots"]) == (200, [])


def test_the_search_of_all_pages_finds_own_clients_and_bots_only(browser, own, foreign):
    def found(term: str) -> str:
        return text_of(browser.get(reverse("admin:search"), {"s": term, "extended": "1"}))

    assert own["client"].get_absolute_url() in found("own")
    assert own["bot"].get_absolute_url() in found("own bot")
    assert "Foreign" not in found("foreign")
    assert "admin/auth" not in found("colleague")


def test_the_search_drops_a_client_as_soon_as_it_is_reassigned(browser, own):
    term = {"s": "own", "extended": "1"}
    assert "Own" in text_of(browser.get(reverse("admin:search"), term))
    Client.objects.update(account_manager=None)
    assert "Own" not in text_of(browser.get(reverse("admin:search"), term))


@pytest.mark.parametrize("page", ["x", "999", "0", "-1", "9" * 5000])
def test_the_search_has_one_page_whichever_is_asked_for(page, browser, own):
    assert "Own" in text_of(browser.get(reverse("admin:search"), {"s": "own", "extended": "1", "page": page}))


def test_the_search_finds_nothing_without_view_permission(own, make_user, browse):
    user = make_user("helper", {"accounts.add_client", "accounts.view_every_client"})
    page = text_of(browse(user).get(reverse("admin:search"), {"s": "own", "extended": "1"}))
    assert own["client"].get_absolute_url() not in page
