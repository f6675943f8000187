"""Emergency stops: what a person stopped at once, which blocks trading until somebody lifts it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from accounts.models import Client, Server
from bots.models.bot import Bot
from bots.models.deployment import BotState, Deployment, DeploymentQuerySet
from bots.models.orphaned_orders import OrphanedOrders
from bots.problems import EmergencyStopActive
from core.acting import current_actor, note
from core.visibility import AnyUser, sees_every_client
from hummingbot_api.text import truncate

#: The permission to start and to lift one.
PERMISSION = "bots.emergency_stop"
MAX_REASON = 300
#: Of a hold, with what an emergency stop before it was for.
LONGEST_REASON = 3 * MAX_REASON
_WAS_IN_FORCE = " An emergency stop was in force"


class StopScope(models.TextChoices):
    EVERYTHING = "everything", "everything"
    CLIENT = "client", "a client"
    SERVER = "server", "a server"


class EmergencyStopQuerySet(models.QuerySet["EmergencyStop"]):
    def active(self) -> Self:
        return self.filter(lifted_at__isnull=True)

    def stopping(self) -> Self:
        """Return the active ones that stop bots; a hold leaves running what runs."""
        return self.active().filter(only_blocks=False)

    def since(self, moment: datetime) -> Self:
        """Return those in force, and those that stopped bots since then and are lifted by now."""
        return self.filter(Q(lifted_at=None) | Q(only_blocks=False, requested_at__gt=moment))

    def visible_to(self, user: AnyUser) -> Self:
        """Return those that concern a client of the user."""
        if sees_every_client(user):
            return self
        clients = Client.objects.visible_to(user)
        instances = Deployment.objects.open().filter(bot__client__in=clients)
        servers = Q(server__in=clients.values("server")) | Q(server__in=clients.values("bots__server"))
        servers |= Q(server__in=instances.values("server"))
        return self.filter(Q(scope=StopScope.EVERYTHING) | Q(client__in=clients) | servers)

    def in_force(self) -> list["EmergencyStop"]:
        """Return the active ones; within a request they are read once, for all bots of a page."""
        actor = current_actor()
        if actor is None or actor.request is None:
            return self._read()
        if actor.emergency_stops is None:
            actor.emergency_stops = self._read()
        return actor.emergency_stops

    def _read(self) -> list["EmergencyStop"]:
        return list(self.active().select_related("client", "server", "requested_by"))

    def blocker_of(self, bot: Bot) -> EmergencyStopActive | None:
        """Return the problem that keeps a bot from trading; ``None`` when nothing does."""
        return next((stop.as_problem() for stop in self.in_force() if stop.concerns(bot)), None)

    def require_none_for(self, bot: Bot, planned: Deployment | None = None) -> None:
        """Make sure that a bot may begin to trade now: whatever was read before may be outdated.

        Args:
            planned: what is about to be sent, maybe to another server than the bot's definition names by now.

        Raises:
            EmergencyStopActive
        """
        for stop in self._read():
            there = planned is not None and stop.server_id == planned.server_id
            if there or stop.concerns(bot):
                raise stop.as_problem()

    def declare(
        self, *, scope: StopScope, requested_by: Any, reason: str = "", **what: Any
    ) -> tuple["EmergencyStop", bool]:
        """Record one, which blocks trading from now on; return the active one of the same scope if there is one. One
        that was only a hold stops bots from now on.

        Args:
            what: the ``client`` or the ``server``.

        Returns:
            The emergency stop, and whether it is new.
        """
        if (actor := current_actor()) is not None:
            actor.emergency_stops = None
        try:
            with transaction.atomic():
                stop = self.create(scope=scope, reason=reason[:MAX_REASON], requested_by=requested_by, **what)
                note(stop, "emergency stop", stop.reason)
        except IntegrityError:
            active = self.active().filter(scope=scope, **what).first()
            if active is None:
                raise
            own = self.filter(pk=active.pk, only_blocks=True)
            facts = {"reason": reason[:MAX_REASON], "requested_by": requested_by, "requested_at": timezone.now()}
            if not own.update(only_blocks=False, **facts):
                return active, False
            active.refresh_from_db()
            note(active, "emergency stop", active.reason)
            return active, True
        return stop, True

    def hold(self, reason: str) -> None:
        """Let nothing begin to trade until somebody lifts it, and stop nothing. An emergency stop that is in force does
        no more than that from now on, and what it was for is said behind the reason.
        """
        for stop in self.stopping():  # kept as it was: what it stopped stays stopped
            stop.pk, stop._state.adding = None, True
            stop.lifted_at, stop.outcome = timezone.now(), "It became a hold."
            stop.save()
        everything = self.active().filter(scope=StopScope.EVERYTHING)
        before = everything.first()
        self.active().update(only_blocks=True)
        if before is not None:
            by = f" by {before.requested_by}" if before.requested_by else ""
            # Of an earlier hold, only what that had found.
            held, was, what_for = before.reason.partition(_WAS_IN_FORCE)
            found = f"{was}{what_for}" if was else "" if before.only_blocks else f"{_WAS_IN_FORCE}{by}: {held}"
            reason = f"{reason}{found}"
        facts = {"reason": truncate(reason, LONGEST_REASON), "requested_by": None, "requested_at": timezone.now()}
        if not everything.update(**facts):
            self.create(scope=StopScope.EVERYTHING, only_blocks=True, **facts)


class EmergencyStop(models.Model):
    """Everything, a client's bots or a server's bots, stopped at once. Until it is lifted, none of them may trade."""

    scope = models.CharField(max_length=10, choices=StopScope)
    client = models.ForeignKey(Client, null=True, blank=True, on_delete=models.CASCADE, related_name="emergency_stops")
    server = models.ForeignKey(Server, null=True, blank=True, on_delete=models.CASCADE, related_name="emergency_stops")
    reason = models.CharField(
        max_length=LONGEST_REASON, blank=True, help_text="Shown to everyone whose clients it concerns."
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    requested_at = models.DateTimeField(default=timezone.now)
    lifted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    lifted_at = models.DateTimeField("lifted", null=True, blank=True)
    only_blocks = models.BooleanField(
        default=False,
        db_default=False,  # processes of the previous release go on while the database is migrated
        help_text="A hold, as after a restore: nothing may begin to trade, and nothing is stopped.",
    )
    outcome = models.CharField(max_length=200, blank=True, help_text="What had stopped when it was lifted.")
    bots = models.ManyToManyField("bots.Bot", related_name="+", help_text="The bots that it had to stop.")

    objects = EmergencyStopQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        default_permissions = ("view",)
        permissions = [("emergency_stop", "Can start and lift emergency stops")]
        constraints = [
            models.CheckConstraint(
                condition=Q(scope="everything", client__isnull=True, server__isnull=True)
                | Q(scope="client", client__isnull=False, server__isnull=True)
                | Q(scope="server", client__isnull=True, server__isnull=False),
                name="emergency_stop_has_what_its_scope_says",
            ),
            models.UniqueConstraint(
                fields=["scope"],
                condition=Q(scope="everything", lifted_at__isnull=True),
                name="unique_active_emergency_stop_of_everything",
            ),
            models.UniqueConstraint(
                fields=["client"], condition=Q(lifted_at__isnull=True), name="unique_active_emergency_stop_per_client"
            ),
            models.UniqueConstraint(
                fields=["server"], condition=Q(lifted_at__isnull=True), name="unique_active_emergency_stop_per_server"
            ),
        ]

    def __str__(self) -> str:
        return f"Hold on {self.what}" if self.only_blocks else f"Emergency stop of {self.what}"

    def get_absolute_url(self) -> str:
        return reverse("admin:bots_emergencystop_change", args=[self.pk])

    @property
    def what(self) -> str:
        """What it stops."""
        return str(self.client or self.server or "everything")

    @property
    def is_active(self) -> bool:
        return self.lifted_at is None

    @property
    def who(self) -> str:
        """Who started it."""
        return str(self.requested_by or "a terminal on the host")

    def concerns(self, bot: Bot) -> bool:
        """Return whether a bot is in its scope: by its definition, or by where its instance is."""
        if self.client_id is not None:
            return bot.client_id == self.client_id
        instance = bot.open_deployment
        return self.server_id in {None, bot.server_id, instance.server_id if instance else bot.server_id}

    @property
    def bots_in_scope(self) -> models.QuerySet[Bot]:
        if self.client_id is not None:
            return Bot.objects.filter(client=self.client_id)
        if self.server_id is None:
            return Bot.objects.all()
        there = Deployment.objects.open().filter(server=self.server_id)
        return Bot.objects.filter(Q(server=self.server_id) | Q(pk__in=there.values("bot")))

    def as_problem(self) -> EmergencyStopActive:
        reason = f" Reason: {self.reason.rstrip('.')}." if self.reason else ""
        name = f"{str(self)[0].lower()}{str(self)[1:]}"
        return EmergencyStopActive(
            f"The {name} has been in force since {self.requested_at:%Y-%m-%d %H:%M} UTC, "
            f"started by {self.who}.{reason}",
            url=self.get_absolute_url(),
        )

    def may_be_lifted_by(self, user: AnyUser) -> bool:
        """Return whether a user may lift it. A user who sees only own clients may lift only what they started: others
        may have a reason that they can't see.
        """
        if not user.has_perm(PERMISSION):
            return False
        own = self.client is not None and self.client.account_manager_id == user.pk and self.requested_by_id == user.pk
        return sees_every_client(user) or own

    def lift(self, user: Any, outcome: str) -> bool:
        """Lift it, once; return false if somebody else has."""
        lifted = EmergencyStop.objects.active().filter(pk=self.pk)
        with transaction.atomic():
            if not lifted.update(lifted_at=timezone.now(), lifted_by=user, outcome=outcome):
                return False
            note(self, "lifted", outcome)
        return True


def may_stop(user: AnyUser, client: Client | None, server: Server | None) -> bool:
    """Return whether a user may stop this: an own client, or whatever else concerns every client."""
    if not user.has_perm(PERMISSION):
        return False
    own = client is not None and server is None and client.account_manager_id == user.pk
    return sees_every_client(user) or own


def not_stopped(since: datetime, now: datetime) -> DeploymentQuerySet:
    """Return the open deployments that may trade, or may have orders that nobody has dealt with, for all that is known.

    What has stopped is one whose log says so, or whose container has ended, and that left no order, or whose orders are
    recorded: these take a person. A state that was not seen lately counts only if an operation has proven it since.
    """
    polled_lately = Q(observed_at__gte=now - timedelta(seconds=settings.FLEET["STALE"]))
    recorded = OrphanedOrders.objects.unresolved().filter(deployment=OuterRef("pk"))
    accounted = Q(exposed_since__isnull=True) | Q(Exists(recorded))
    down = Q(observed_state=BotState.CRASHED) & polled_lately
    silent = Q(observed_state=BotState.STOPPED) & (polled_lately | Q(stopped_at__isnull=False, stopped_at__gte=since))
    quiet = Deployment.objects.filter(accounted, down | silent)
    return Deployment.objects.open().exclude(pk__in=quiet.values("pk"))


def in_force_for(user: AnyUser) -> Iterable[EmergencyStop]:
    """Return the active ones that concern a client of the user, for the banner."""
    return EmergencyStop.objects.active().visible_to(user).select_related("client", "server", "requested_by")
