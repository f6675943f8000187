"""My notifications and the bell, as a user has them: by mouse, by keyboard, on a phone, and without scripts."""

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Demo
from tests.browser.steps import sign_in, sign_in_as

pytestmark = [pytest.mark.browser, pytest.mark.full("the bell in a browser: its pages without one")]

PASSWORD = "a-long-day-of-work-82"
USER = """
from django.contrib.auth.models import Group, User
user, _ = User.objects.get_or_create(username="bella", defaults={"is_staff": True, "email": "bella@example.com"})
user.set_password("a-long-day-of-work-82")
user.save()
user.groups.set([Group.objects.get(name="Viewer")])
"""
#: Something that happens now, on the demo's own server.
INCIDENT = """
from django.contrib.contenttypes.models import ContentType
from django.utils import timezone
from accounts.models import Server
from notifications.models import Incident
server, now = Server.objects.order_by("pk").first(), timezone.now()
Incident.objects.create(
    kind="unmanaged_instance", subject_type=ContentType.objects.get_for_model(Server), subject_id={number},
    subject_label="Bell {number}", server=server, sentence="It rang.", remedy="Listen.", code="unmanaged_instance",
    seen_at=now, opened_at=now,
)
"""
#: Keeps what would have been shown, as the test's browser shows nothing.
NOTIFICATIONS = """
window.shown = [];
window.Notification = class {
  static permission = "granted";
  constructor(title) { window.shown.push(title); }
  addEventListener() {}
};
"""


@pytest.fixture(autouse=True)
def bella(demo: Demo) -> None:
    demo.manage("shell", "-v", "0", "-c", USER)


def happens(demo: Demo, number: int) -> None:
    demo.manage("shell", "-v", "0", "-c", INCIDENT.replace("{number}", str(number)))


def renew(page: Page) -> None:
    """As if the time until the bell renews itself were over."""
    with page.expect_response("**/admin/whats-new/bell/"):
        page.evaluate("htmx.ajax('GET', '/admin/whats-new/bell/', {target: '#bell', swap: 'outerHTML'})")


def test_the_bell_counts_without_a_reload_and_opens_by_keyboard(page: Page, demo: Demo) -> None:
    sign_in_as(page, "bella", PASSWORD)
    page.goto("/admin/whats-new/")
    page.goto("/admin/bots/bot/")
    happens(demo, 901)
    renew(page)
    count = page.locator("#bell .panel-count")
    expect(count).to_have_text("1")
    page.locator("[data-bell]").focus()
    page.keyboard.press("Enter")
    news = page.get_by_role("region", name="What's new")
    expect(news.get_by_text("Bell 901")).to_be_visible()
    expect(count).to_have_count(0)
    expect(news.get_by_role("button", name="Mark all as read")).to_be_focused()
    page.keyboard.press("Enter")
    expect(news.locator(".is-unread")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(news).to_be_hidden()
    expect(page.locator("[data-bell]")).to_be_focused()


def test_on_a_phone_the_list_fits_and_leads_to_the_incident(page: Page, demo: Demo) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in_as(page, "bella", PASSWORD)
    happens(demo, 902)
    page.locator("[data-bell]").click()
    news = page.get_by_role("region", name="What's new")
    expect(news).to_be_visible()
    box = news.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390
    news.get_by_role("link", name="Bell 902").click()
    expect(page.get_by_role("main")).to_contain_text("It rang.")


def test_without_scripts_the_bell_is_a_page(page: Page, browser: Browser, demo: Demo) -> None:
    sign_in_as(page, "bella", PASSWORD)
    happens(demo, 903)
    context = browser.new_context(
        base_url=demo.url, java_script_enabled=False, storage_state=page.context.storage_state()
    )
    plain = context.new_page()
    plain.goto("/admin/")
    plain.locator("[data-bell]").click()
    expect(plain.get_by_role("link", name="Bell 903")).to_be_visible()
    plain.get_by_role("button", name="Mark all as read").click()
    expect(plain.locator("main .is-unread")).to_have_count(0)
    context.close()


def test_what_is_typed_survives_a_session_that_ends_while_the_bell_renews_itself(page: Page, demo: Demo) -> None:
    sign_in_as(page, "bella", PASSWORD)
    page.goto("/admin/my-notifications/")
    page.get_by_label("Chat ID").fill("typed")
    page.context.clear_cookies()
    renew(page)
    expect(page.get_by_label("Chat ID")).to_have_value("typed")


def test_a_user_sets_up_their_own_notifications_and_each_event_is_shown_once(page: Page, demo: Demo) -> None:
    page.add_init_script(NOTIFICATIONS)
    sign_in_as(page, "bella", PASSWORD)
    page.get_by_role("button", name="bella").click()
    page.get_by_role("link", name="My notifications").click()
    expect(page.get_by_label("E-mail address")).to_have_value("bella@example.com")
    page.locator("[name=email_severity]").select_option(label="Critical only")
    page.locator("[name=browser_severity]").select_option(label="Everything")
    page.get_by_label("Use quiet hours").check()
    page.locator("[name=quiet_from]").fill("03:00")
    page.locator("[name=quiet_to]").fill("03:01")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your notifications are saved.")).to_be_visible()
    happens(demo, 904)
    renew(page)
    page.wait_for_function("window.shown.length > 0")
    assert "Problem: Bell 904: unmanaged bot on a server" in page.evaluate("window.shown")
    page.goto("/admin/bots/bot/")
    assert page.evaluate("window.shown") == []

    page.goto("/admin/my-notifications/")
    page.get_by_role("button", name="Send test by E-mail").click()
    expect(page.locator("#operation h2 .panel-state").first).to_have_text("succeeded", timeout=30_000)
    expect(page.get_by_text("accepted the message").first).to_be_visible()


def test_administrators_have_a_bell_too(page: Page, demo: Demo) -> None:
    sign_in(page, demo)
    page.locator("[data-bell]").click()
    expect(page.get_by_role("region", name="What's new").get_by_role("link", name="My notifications")).to_be_visible()
