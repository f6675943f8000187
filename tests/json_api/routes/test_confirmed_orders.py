"""A confirmation that orders were dealt with covers what was shown, and nothing that was found since."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from bots.models import Deployment, OrphanedOrders
from tests.json_api.routes.test_orders import ORDER

FIRST_RUN, SECOND_RUN = "The bot of run one has stopped.", "The bot of run two has stopped."


@pytest.fixture
def deployment(bot):
    planned = bot.plan_deployment()
    planned.sent_at = planned.connected_at = timezone.now()
    planned.instance_name = "hummingbot-x-20261129-010101"
    planned.save()
    return planned


def record_of(deployment, orders=()):
    return deployment.orphaned_orders.create(reason=FIRST_RUN, orders=list(orders))


def becomes_another_runs(record):
    OrphanedOrders.objects.filter(pk=record.pk).update(reason=SECOND_RUN)


def ran_again_with_the_same_reason(record):
    later = timezone.now() + timedelta(minutes=5)
    Deployment.objects.filter(pk=record.deployment_id).update(connected_at=later)


def was_resolved_and_opened_again(record):
    OrphanedOrders.objects.filter(pk=record.pk).update(resolved_at=timezone.now())
    record.deployment.orphaned_orders.create(reason=record.reason, orders=record.orders)


def has_one_more(record):
    orders = [*record.orders, ORDER | {"client_order_id": "S2"}]
    OrphanedOrders.objects.filter(pk=record.pk).update(orders=orders)


CHANGES = [becomes_another_runs, ran_again_with_the_same_reason, was_resolved_and_opened_again, has_one_more]


@pytest.fixture
def resolve_on_page(admin_client):
    def post(bot, record, version):
        admin_client.post(reverse("orders_resolve", args=[record.pk]), {"version": version})

    return post


@pytest.fixture
def resolve_by_api(tool):
    def post(bot, record, version):
        tool.post(f"/bots/{bot.pk}/orphaned-orders/resolve", {"versions": [version]})

    return post


@pytest.mark.parametrize("orders", [(), (ORDER,)], ids=["unknown orders", "a known order"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("way", ["resolve_on_page", "resolve_by_api"])
def test_what_was_found_since_stays_unresolved(way, change, orders, deployment, request):
    resolve = request.getfixturevalue(way)
    record = record_of(deployment, orders)
    shown = record.version
    change(record)
    resolve(deployment.bot, OrphanedOrders.objects.unresolved().get(), shown)
    (left,) = OrphanedOrders.objects.unresolved().select_related("deployment")
    resolve(deployment.bot, left, left.version)
    assert not OrphanedOrders.objects.unresolved().exists()


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_found_between_its_check_and_its_record_stays_unresolved(change, deployment, admin_user):
    record = record_of(deployment)
    change(record)
    assert not record.resolve(admin_user)
    assert OrphanedOrders.objects.unresolved().exists()


def test_a_version_is_of_one_record_of_a_bot(deployment, resolve_by_api):
    first, other = record_of(deployment), deployment.bot.plan_deployment()
    other.instance_name, other.ended_at = "hummingbot-x-20261129-020202", timezone.now()
    other.save()
    second = record_of(other)
    resolve_by_api(deployment.bot, first, first.version)
    assert OrphanedOrders.objects.unresolved().get() == second


def test_a_request_that_is_sent_again_resolves_no_later_record(deployment, resolve_by_api):
    record = record_of(deployment)
    resolve_by_api(deployment.bot, record, record.version)
    later = record_of(deployment)
    resolve_by_api(deployment.bot, record, record.version)
    assert OrphanedOrders.objects.unresolved().get() == later
