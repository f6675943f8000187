"""Incidents of emergency stops: opened at once, for everybody whose clients they concern, until the lift."""

from bots.models import EmergencyStop, StopScope
from notifications.kinds import IncidentKind, Severity
from notifications.models import Incident
from tests.notifications.conftest import polls


def declare(scope, **what):
    stop, _ = EmergencyStop.objects.declare(scope=scope, requested_by=None, reason="Key leaked.", **what)
    return stop


def open_subjects():
    return {incident.subject for incident in polls() if incident.kind == IncidentKind.EMERGENCY_STOP}


def test_a_client_or_a_server_that_is_stopped_has_an_incident_until_it_is_lifted(bot):
    for stop, subject in (
        (declare(StopScope.CLIENT, client=bot.client), bot.client),
        (declare(StopScope.SERVER, server=bot.server), bot.server),
    ):
        assert subject in open_subjects()
        incident = Incident.objects.get(subject_id=subject.pk, subject_type__model=subject._meta.model_name)
        assert incident.severity == Severity.CRITICAL and incident.code == "emergency_stop_active"
        assert "Key leaked." in incident.sentence
        stop.lift(None, "")
        assert subject not in open_subjects()
        incident.refresh_from_db()
        assert incident.resolution == "The emergency stop was lifted."


def test_everything_is_an_incident_of_each_server_with_bots(make_live):
    first, second = make_live("Sharp"), make_live("Blunt")
    type(first.server).objects.create(name="Empty", base_url="http://empty.example.com", password="x")
    everything = declare(StopScope.EVERYTHING)
    assert open_subjects() == {first.server, second.server}
    declare(StopScope.SERVER, server=first.server)
    everything.lift(None, "")
    assert open_subjects() == {first.server}


def test_it_is_notified_once(bot, channel):
    declare(StopScope.CLIENT, client=bot.client)
    polls(3)
    incident = Incident.objects.get(kind=IncidentKind.EMERGENCY_STOP)
    assert incident.deliveries.count() == 1


def test_an_account_manager_hears_of_own_clients_only(make_live, make_user):
    manager = make_user("manager")
    own, foreign = make_live("Own", manager=manager), make_live("Foreign")
    declare(StopScope.CLIENT, client=foreign.client)
    assert open_subjects() == {foreign.client}
    assert not Incident.objects.visible_to(manager).filter(kind=IncidentKind.EMERGENCY_STOP).exists()
    declare(StopScope.EVERYTHING)
    polls()
    (incident,) = Incident.objects.visible_to(manager).filter(kind=IncidentKind.EMERGENCY_STOP)
    assert incident.subject == own.server and "Foreign" not in incident.sentence
