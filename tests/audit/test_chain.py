"""The trail is a chain of hashes: what was changed in it, removed from it or inserted is found and named."""

import re
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Client
from audit import chain
from audit.models import NOTHING_BEFORE, AppendOnly, AuditEvent, ChainHead
from audit.tasks import prune_old, seal_left
from core.acting import Actor, Door, acting, note
from tests.conftest import count_queries, valid_client

pytestmark = pytest.mark.django_db
TABLE = AuditEvent._meta.db_table


def happened(label: str = "Sharp", **facts) -> AuditEvent:
    common = {"actor": "mara", "verb": "changed", "door": "pages", "subject_label": label}
    return AuditEvent.objects.create(**common | facts)


def sealed(count: int) -> list[AuditEvent]:
    """That many rows, sealed."""
    for number in range(count):
        happened(str(number + 1))
    assert chain.seal() == count
    return list(AuditEvent.objects.sealed())


def sql(statement: str, *values) -> None:
    """What someone does who can write to the database."""
    with connection.cursor() as cursor:
        cursor.execute(statement.format(table=TABLE), values)


def verify(head: str = "") -> str:
    """The head that the command prints."""
    out = StringIO()
    call_command("audit", "verify", *(["--head", head] if head else []), stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def finds(*words: str, head: str = "") -> None:
    with pytest.raises(CommandError) as error:
        verify(head)
    for word in words:
        assert word in str(error.value), error.value


# --- sealing ---


def test_each_row_carries_the_hash_of_the_one_before_it_and_its_own():
    first, second, third = sealed(3)
    assert [row.position for row in (first, second, third)] == [1, 2, 3]
    assert first.previous_hash == NOTHING_BEFORE
    assert (second.previous_hash, third.previous_hash) == (first.hash, second.hash)
    assert verify() == f"3:{third.hash}" and re.fullmatch(r"[0-9a-f]{64}", third.hash)


def test_the_order_is_that_of_sealing_and_not_of_the_numbers(monkeypatch):
    monkeypatch.setattr(chain, "BATCH", 1)
    first = happened("written first, committed last")
    happened("second")
    sql("UPDATE {table} SET id = id + 10000 WHERE id = %s", first.pk)
    chain.seal()
    happened("third")
    sql("UPDATE {table} SET id = id - 10000 WHERE id = %s", first.pk + 10000)
    while chain.seal():
        pass
    labels = list(AuditEvent.objects.sealed().values_list("subject_label", flat=True))
    assert labels == ["second", "written first, committed last", "third"]
    assert verify()


@pytest.mark.django_db(transaction=True)
def test_a_row_is_sealed_right_after_its_transaction_and_never_before():
    with transaction.atomic():
        with acting(Actor(Door.TERMINAL)):
            for name in ("one", "two", "three"):
                User.objects.create_user(name)
        assert not AuditEvent.objects.sealed().exists()
        assert len(connection.run_on_commit) == 1, "however many rows there are"
    assert [event.subject_label for event in AuditEvent.objects.sealed()] == ["one", "two", "three"]


@pytest.mark.django_db(transaction=True)
def test_a_row_without_a_transaction_is_sealed_at_once():
    note(None, "exported", "clients")
    assert AuditEvent.objects.get().position == 1


@pytest.mark.django_db(transaction=True)
def test_neither_the_change_nor_its_row_exists_without_the_other():
    class Interrupted(Exception):
        pass

    with pytest.raises(Interrupted), transaction.atomic(), acting(Actor(Door.TERMINAL)):
        User.objects.create_user("never")
        raise Interrupted
    assert not User.objects.exists() and not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_failed_seal_costs_nobody_their_change_and_is_made_up_for(monkeypatch, caplog):
    def fails() -> None:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr("audit.recording.seal_after_commit", lambda: transaction.on_commit(fails, robust=True))
        note(None, "exported", "clients")
    assert AuditEvent.objects.get().position is None and "ConnectionError" in caplog.text
    seal_left.call_local()
    assert AuditEvent.objects.get().position == 1


def test_rows_from_before_the_chain_are_sealed_in_order_and_in_batches(monkeypatch, client_sharp):
    monkeypatch.setattr(chain, "BATCH", 3)
    user = User.objects.create_user("mara")
    for number in range(8):
        happened(str(number), client=client_sharp, user=user)
    sql("UPDATE {table} SET client_number = NULL, user_number = NULL, subject_kind = ''")
    assert chain.seal() == 3
    seal_left.call_local()
    assert [event.subject_label for event in AuditEvent.objects.sealed()] == [str(number) for number in range(8)]
    event = AuditEvent.objects.sealed()[7]
    assert (event.client_number, event.user_number) == (client_sharp.pk, user.pk)
    assert verify()


def test_sealing_nothing_locks_nothing():
    assert count_queries(seal_left.call_local) == 1


def test_many_rows_are_sealed_in_as_many_queries_as_few():
    sealed(1)
    happened()
    few = count_queries(chain.seal)
    for _ in range(20):
        happened()
    assert count_queries(chain.seal) == few


# --- what never changes ---


def test_the_chain_outlasts_what_its_rows_refer_to(client_sharp):
    user = User.objects.create_user("mara")
    event = happened(client=client_sharp, user=user, client_label="Sharp")
    numbers = client_sharp.pk, user.pk
    chain.seal()
    client_sharp.delete()
    user.delete()
    event.refresh_from_db()
    assert (event.client, event.user) == (None, None)
    assert (event.client_number, event.user_number) == numbers
    assert verify()


def test_a_row_can_be_neither_saved_again_nor_updated_nor_deleted():
    event = happened()
    event.actor = "nobody"
    for act in (
        event.save,
        event.delete,
        AuditEvent.objects.all().delete,
        lambda: AuditEvent.objects.update(actor="nobody"),
        lambda: AuditEvent.objects.filter(pk=event.pk).update(actor="nobody"),
        lambda: AuditEvent.objects.bulk_update([event], ["actor"]),
        lambda: AuditEvent.objects.update_or_create(pk=event.pk, defaults={"actor": "nobody"}),
        lambda: AuditEvent.objects.bulk_create(
            [event], update_conflicts=True, update_fields=["actor"], unique_fields=["id"]
        ),
        User(pk=1).audit_events.all().delete,
        lambda: User(pk=1).audit_events.update(actor="nobody"),
    ):
        with pytest.raises(AppendOnly), transaction.atomic():
            act()
    assert AuditEvent.objects.get().actor == "mara"


# --- verifying ---


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "2020-01-01 00:00:00+00:00"),
        ("actor", "nobody"),
        ("user_number", 7),
        ("door", "api"),
        ("address", "203.0.113.9"),
        ("request_id", "another"),
        ("verb", "looked at"),
        ("subject_kind", "bots.bot"),
        ("subject_id", "7"),
        ("subject_label", "Blunt"),
        ("client_number", 7),
        ("client_label", "Blunt"),
        ("changes", '[["Amount", "1", "2"]]'),
        ("detail", "nothing"),
        ("operation_number", 7),
        ("outcome", "failed"),
    ],
)
def test_a_changed_column_of_a_row_is_found_and_the_row_named(column, value):
    sealed(3)
    sql(f"UPDATE {{table}} SET {column} = %s WHERE position = 2", value)  # noqa: S608
    finds("position 2 (", "was changed")


def test_the_name_of_a_row_begins_no_line_of_what_is_found():
    sealed(1)
    happened("Sharp\n9 rows are complete and unchanged, up to position 9.")
    chain.seal()
    sql("UPDATE {table} SET detail = %s WHERE position = 2", "nothing")
    with pytest.raises(CommandError) as found:
        verify()
    assert "Sharp\\n9 rows" in str(found.value) and "\n9 rows" not in str(found.value)


def test_every_column_is_hashed_but_for_references_and_the_chains_own():
    not_hashed = {"id", "user", "client", "operation", "subject_type", "position", "previous_hash", "hash"}
    (params,) = [
        mark.args[1]
        for mark in test_a_changed_column_of_a_row_is_found_and_the_row_named.pytestmark
        if mark.name == "parametrize"
    ]
    columns = {field.name for field in AuditEvent._meta.concrete_fields}
    assert columns - not_hashed == {column for column, _ in params}


@pytest.mark.parametrize("name", ["client", "user", "operation", "subject_type"])
def test_a_row_that_was_led_to_another_object_is_found_and_one_whose_object_is_gone_is_not(name, bot, perform):
    perform("check_bot", bot)
    rows = {
        "client": (bot.client, valid_client("Blunt", bot.client.server)),
        "user": (User.objects.create(username="mia"), User.objects.create(username="max")),
        "operation": (perform("check_bot", bot), perform("check_bot", bot)),
        "subject_type": (ContentType.objects.get_for_model(Client), ContentType.objects.get_for_model(User)),
    }
    own, other = rows[name]
    event = happened(**{name: own}, subject_id="1")
    chain.seal()
    sql(f"UPDATE {{table}} SET {name}_id = NULL WHERE id = %s", event.pk)  # noqa: S608
    assert verify()
    sql(f"UPDATE {{table}} SET {name}_id = %s WHERE id = %s", other.pk, event.pk)  # noqa: S608
    finds(f"position {AuditEvent.objects.get(pk=event.pk).position} (", "leads to another")


def test_a_row_that_had_none_and_was_given_a_client_is_found(client_sharp):
    (event,) = sealed(1)
    sql("UPDATE {table} SET client_id = %s WHERE id = %s", client_sharp.pk, event.pk)
    finds("leads to another client")


def test_a_row_that_was_rewritten_with_its_own_hash_is_found():
    sealed(3)
    for position in (2, 3):
        event = AuditEvent.objects.get(position=position)
        before = event.hash
        event.detail = "Nothing was stolen."
        rewritten = chain.hash_of(event, position, event.previous_hash)
        sql("UPDATE {table} SET detail = %s, hash = %s WHERE position = %s", event.detail, rewritten, position)
        finds(f"position {position} (", "changed or replaced")
        sql("UPDATE {table} SET detail = '', hash = %s WHERE position = %s", before, position)


@pytest.mark.parametrize(
    ("removed", "words"),
    [
        ("= 1", "The row at position 1 was removed"),
        ("= 3", "The row at position 3 was removed, after position 2 ("),
        ("BETWEEN 2 AND 4", "The rows at positions 2 to 4 were removed, after position 1 ("),
        ("> 3", "The rows at positions 4 to 5 were removed, after position 3 ("),
        ("> 0", "The rows at positions 1 to 5 were removed"),
    ],
)
def test_removed_rows_are_found_wherever_they_were(removed, words):
    sealed(5)
    sql(f"DELETE FROM {{table}} WHERE position {removed}")  # noqa: S608
    finds(words)


def insert(position: int, **facts) -> None:
    event = happened("made up", **facts)
    hashed = chain.hash_of(event, position, "a" * 64)
    facts = position, "a" * 64, hashed, event.pk
    sql("UPDATE {table} SET position = %s, previous_hash = %s, hash = %s WHERE id = %s", *facts)


def test_an_inserted_row_is_found_wherever_it_is():
    sealed(3)
    insert(4)
    finds("position 4 (", "made up", "was inserted")
    sql("UPDATE {table} SET position = 0 WHERE position = 4")
    finds("position 0 (", "was inserted")
    sql("DELETE FROM {table} WHERE position = 0")
    assert verify()
    sql("DELETE FROM {table} WHERE position = 2")
    insert(2)
    finds("position 1 (", "changed or replaced")


def test_a_chain_that_was_rewritten_from_a_row_on_does_not_agree_with_a_head_that_was_kept():
    sealed(2)
    early = verify()
    sealed_later = happened("kept")
    chain.seal()
    kept = verify()
    sql("UPDATE {table} SET detail = 'forged' WHERE position = 2")
    head = ChainHead.objects.get()
    for event in AuditEvent.objects.sealed():
        event.previous_hash = head.hash if event.position > 1 else NOTHING_BEFORE
        head.hash = chain.hash_of(event, event.position, event.previous_hash)
        sql(
            "UPDATE {table} SET previous_hash = %s, hash = %s WHERE position = %s",
            event.previous_hash,
            head.hash,
            event.position,
        )
    head.save()
    assert verify() != kept and sealed_later.pk
    for kept_head in (early, kept):
        finds("The chain was rewritten", f"position {kept_head[0]} (", head=kept_head)


def test_a_truncated_end_does_not_agree_with_a_head_that_was_kept():
    rows = sealed(5)
    kept = verify()
    sql("DELETE FROM {table} WHERE position > 3")
    ChainHead.objects.update(position=3, hash=rows[2].hash)
    assert verify() == f"3:{rows[2].hash}"
    finds("The end of the chain was removed", "3 positions, and the kept head 5", head=kept)


def test_a_head_that_was_kept_stays_part_of_a_chain_that_grows():
    sealed(2)
    kept = verify()
    sealed_later = [happened("later") for _ in range(3)]
    chain.seal()
    assert verify(kept).startswith(f"{2 + len(sealed_later)}:")


@pytest.mark.parametrize("nonsense", ["", "x", "1", "1:abc", f"-1:{'a' * 64}"])
def test_what_is_no_head_is_refused(nonsense):
    with pytest.raises(CommandError, match="position, a colon"):
        call_command("audit", "verify", f"--head={nonsense}")


def test_a_removed_head_is_found():
    sealed(3)
    ChainHead.objects.all().delete()
    finds("The chain's head was removed")


def test_rows_that_nobody_seals_are_counted():
    happened(at=timezone.now() - timedelta(minutes=11))
    happened()
    finds("1 row is older than 10 minutes and not sealed")


def test_an_empty_trail_holds():
    assert verify() == f"0:{NOTHING_BEFORE}"


def test_verifying_takes_a_batch_at_a_time(monkeypatch):
    sealed(7)
    monkeypatch.setattr(chain, "BATCH", 3)
    assert count_queries(verify) <= 9, "three batches, and what stands around them"


# --- pruning ---


def old(days: int) -> AuditEvent:
    return happened(f"{days} days", at=timezone.now() - timedelta(days=days))


def test_pruning_removes_the_oldest_and_what_is_left_still_holds(settings, monkeypatch):
    settings.AUDIT_KEPT_DAYS = 30
    monkeypatch.setattr(chain, "BATCH", 2)
    for days in (50, 45, 40, 20, 10):
        old(days)
    seal_left.call_local()
    before = verify()
    last = AuditEvent.objects.get(position=3)
    prune_old.call_local()
    left = list(AuditEvent.objects.sealed().values_list("subject_label", flat=True))
    assert left == ["20 days", "10 days"]
    head = ChainHead.objects.get()
    assert (head.pruned_position, head.pruned_hash, head.pruned_until) == (3, last.hash, last.at)
    assert verify(before) == before
    assert verify(f"3:{last.hash}") == before, "the last row that was pruned is the anchor"
    finds("were pruned", "Keep a head more often", head=f"2:{'a' * 64}")
    finds("The chain was rewritten", head=f"3:{'a' * 64}")
    pruned = AuditEvent.objects.filter(verb="pruned").latest("pk")
    assert (pruned.actor, pruned.door, pruned.detail) == ("the panel", "panel", f"1 row, up to 3:{last.hash}")


def test_pruning_stops_at_the_first_row_that_is_to_be_kept(settings):
    settings.AUDIT_KEPT_DAYS = 30
    for days in (50, 20, 45):
        old(days)
    seal_left.call_local()
    prune_old.call_local()
    assert set(AuditEvent.objects.sealed().values_list("position", flat=True)) == {2, 3}


def test_everything_can_be_pruned_and_the_chain_goes_on(settings):
    settings.AUDIT_KEPT_DAYS = 30
    old(40)
    seal_left.call_local()
    prune_old.call_local()
    seal_left.call_local()
    assert [event.position for event in AuditEvent.objects.sealed()] == [2]
    assert verify().startswith("2:")


def test_more_removed_at_the_front_than_was_pruned_is_found(settings):
    settings.AUDIT_KEPT_DAYS = 30
    for days in (50, 45, 20, 10):
        old(days)
    seal_left.call_local()
    prune_old.call_local()
    sql("DELETE FROM {table} WHERE position = 3")
    finds("The row at position 3 was removed")


@pytest.mark.parametrize("noted", [True, False])
def test_rows_that_somebody_removed_from_the_beginning_are_found(settings, noted):
    settings.AUDIT_KEPT_DAYS = 30
    for days in (50, 20, 15, 10) if noted else (20, 15, 10):
        old(days)
    seal_left.call_local()
    prune_old.call_local()
    seal_left.call_local()
    removed = AuditEvent.objects.get(subject_label="15 days")
    ChainHead.objects.update(pruned_position=removed.position, pruned_hash=removed.hash, pruned_until=removed.at)
    sql("DELETE FROM {table} WHERE position <= %s", removed.position)
    finds(f"The rows up to position {removed.position} were removed", "no row says that they were pruned")


def test_each_portion_that_is_pruned_is_noted_with_it_or_not_at_all(settings, monkeypatch):
    monkeypatch.setattr(chain, "BATCH", 2)
    for days in (50, 45, 40):
        old(days)
    while chain.seal():
        pass
    monkeypatch.setattr(chain, "note", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        chain.prune(timezone.now())
    assert AuditEvent.objects.sealed().count() == 3
    assert verify().startswith("3:")
    monkeypatch.undo()
    monkeypatch.setattr(chain, "BATCH", 2)
    assert chain.prune(timezone.now() - timedelta(days=30)) == 3
    assert AuditEvent.objects.filter(verb="pruned").count() == 2
    assert verify()


def test_rows_that_are_pruned_while_they_are_verified_are_no_finding(settings, monkeypatch):
    settings.AUDIT_KEPT_DAYS = 30
    monkeypatch.setattr(chain, "BATCH", 1)
    for days in (50, 45, 40, 20):
        old(days)
    seal_left.call_local()
    while chain.seal():
        pass
    hash_of, asked = chain.hash_of, []

    def prunes_meanwhile(event, *rest):
        if not asked:
            asked.append(event)
            chain.prune(timezone.now() - timedelta(days=30))
        return hash_of(event, *rest)

    monkeypatch.setattr(chain, "hash_of", prunes_meanwhile)
    assert verify().startswith("4:")


def test_deleting_a_client_leaves_its_rows_in_the_chain(client_sharp):
    with acting(Actor(Door.TERMINAL)):
        number = client_sharp.pk
        client_sharp.delete()
    chain.seal()
    event = AuditEvent.objects.get(verb="deleted")
    assert (event.client, event.client_number, event.client_label) == (None, number, "Sharp")
    assert verify() and not Client.objects.exists()
