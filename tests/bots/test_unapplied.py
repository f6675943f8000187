"""Bots that run by another definition than the current one are noted, so that pages find them by an index."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import ClientStatus
from bots.models import Bot, Strategy
from bots.unapplied import JUST_SAVED, bots_to_renew, compare_bots, differs_now
from operations.models import State
from tests.conftest import PLANTED


@pytest.fixture
def live(bot, perform) -> Bot:
    assert perform("deploy", bot).state == State.SUCCEEDED
    return noted(bot)


def noted(bot: Bot) -> Bot:
    """Compare what is to be compared, some time after it was saved."""
    past = timezone.now() - 2 * JUST_SAVED
    Bot.objects.update(changed_at=past)
    bot.client.keys.update(changed_at=past)
    Bot.objects.update(compared_at=None)
    compare_bots()
    return Bot.objects.get(pk=bot.pk)


def change(bot: Bot) -> None:
    bot.settings = bot.settings | {"order_amount": 1700}
    bot.save()


def test_a_bot_that_runs_as_it_is_defined_is_noted_as_such(live):
    assert not live.differs
    assert not bots_to_renew(Bot.objects.all()).exists()


def test_a_changed_definition_is_found_at_once_and_noted_soon(live):
    change(live)
    assert list(bots_to_renew(Bot.objects.all())) == [live]
    assert compare_bots() == 1
    live.refresh_from_db()
    assert live.differs
    assert list(bots_to_renew(Bot.objects.filter(pk=noted(live).pk))) == [live]


def test_a_changed_strategy_is_noticed(live):
    strategy = Strategy.objects.get(pk=live.strategy_id)
    strategy.source += "# changed\n"
    strategy.save()
    assert compare_bots() == 1
    assert Bot.objects.get().differs


def test_a_rotated_key_is_found_at_once_and_noted_soon(live):
    key = live.client.keys.get()
    key.set_values(PLANTED | {"bitmart_memo": "another"})
    key.save()
    assert list(bots_to_renew(Bot.objects.all())) == [live]
    assert compare_bots() == 1
    assert Bot.objects.get().runs_older_key


def test_what_has_not_changed_is_not_compared_again(live):
    assert compare_bots() == 0


def test_a_live_configuration_that_was_read_since_is_compared(live):
    live.deployment.update(live_config_at=timezone.now() + timedelta(seconds=1))
    assert compare_bots() == 1


def test_saving_a_bot_leaves_what_is_noted_of_it(live):
    Bot.objects.update(differs=True)
    live.save()
    assert Bot.objects.get().differs


def test_a_list_takes_what_is_noted_until_something_changes(live):
    Bot.objects.update(differs=True)
    bot = Bot.objects.select_related("deployment", "strategy").get()
    assert differs_now(bot)
    bot.save()
    assert not differs_now(Bot.objects.get())


def test_a_bot_of_an_offboarded_client_is_never_sent_again(live):
    change(live)
    type(live.client).objects.update(status=ClientStatus.OFFBOARDED)
    assert not bots_to_renew(Bot.objects.all()).exists()
