"""A customer of the agency: whose bots trade, on which server, and who manages them."""

from collections.abc import Sequence

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse

from accounts.models.profile import CredentialsProfile
from accounts.models.server import Server
from core.input.one_line import validate_one_line
from core.visibility import OfClientsQuerySet
from hummingbot_api.errors import InvalidName
from hummingbot_api.names import check_name, slug

MASTER_ACCOUNT = "master_account"
#: The longest name of a client and of its account.
NAME_LENGTH = 80

NAME_TAKEN = "This name can't be used. Choose another one."


def validate_name(value: str) -> None:
    try:
        check_name(value, "an account name")
    except InvalidName as problem:
        raise ValidationError(problem.message, code=problem.code) from None


class ClientStatus(models.TextChoices):
    ONBOARDING = "onboarding", "onboarding"
    ACTIVE = "active", "active"
    PAUSED = "paused", "paused"
    OFFBOARDED = "offboarded", "offboarded"


class ClientQuerySet(OfClientsQuerySet["Client"]):
    account_manager = "account_manager"


class Client(models.Model):
    """A customer of the agency.

    Attributes:
        means_master_account: the user who chooses that account for the client now has been warned. Not stored.
    """

    means_master_account = False

    name = models.CharField(max_length=NAME_LENGTH, unique=True, validators=[validate_one_line])
    account_name = models.CharField(
        max_length=NAME_LENGTH,
        blank=True,
        validators=[validate_name],
        help_text="The name of the client's credentials profile on the server. If empty, it is made from the client's "
        "name: “Sharp” becomes client_sharp. It can't change once the profile is pushed or adopted.",
    )
    account_manager = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="clients",
        help_text="Sees this client. Account managers see only their own clients.",
    )
    server = models.ForeignKey(Server, on_delete=models.PROTECT, related_name="clients")
    status = models.CharField(max_length=12, choices=ClientStatus, default=ClientStatus.ONBOARDING)
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ClientQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        permissions = [
            ("view_every_client", "Can see every client, not only their own"),
            ("push_profile", "Can push credentials profiles to servers"),
            ("recreate_profile", "Can delete and recreate credentials profiles that the panel created"),
            ("adopt_profile", "Can adopt credentials profiles that the panel did not create"),
            ("assign_client", "Can choose a client's account manager"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["server", "account_name"],
                name="unique_account_name_per_server",
                violation_error_message="This account name can't be used on this server. Choose another one.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        """Return the address of its home. Its form is one tab there."""
        return reverse("client", args=[self.pk])

    def unique_error_message(self, model_class: type[models.Model], unique_check: Sequence[str]) -> ValidationError:
        """Return an error that reveals nothing about the other client, which the user may not manage."""
        if tuple(unique_check) == ("name",):
            return ValidationError(NAME_TAKEN, code="unique")
        return super().unique_error_message(model_class, unique_check)

    def clean(self) -> None:
        if self.pk and self.status == ClientStatus.OFFBOARDED:
            self._check_that_it_may_leave()
        if not self.account_name and self.name:
            short = slug(self.name, "_")
            if not short:
                raise ValidationError({"account_name": "No account name can be made from this client name. Enter one."})
            self.account_name = f"client_{short}"[:NAME_LENGTH]
        before = Client.objects.filter(pk=self.pk).values_list("account_name", flat=True).first()
        if self.account_name == before:
            return
        if self.pk and self.is_pushed:
            raise ValidationError(
                {"account_name": f"The profile {before} belongs to this client, so its name can't change."}
            )
        if self.account_name == MASTER_ACCOUNT and not self.means_master_account:
            raise ValidationError(
                {
                    "account_name": f"Every new account on the server is a copy of {MASTER_ACCOUNT}, so other clients "
                    f"may inherit its keys. To use it anyway, turn on “Use {MASTER_ACCOUNT} anyway "
                    "(unsafe)” in the client's form."
                }
            )

    def _check_that_it_may_leave(self) -> None:
        """Refuse to offboard while a bot may trade. One that was offboarded before may be changed in all else."""
        if Client.objects.filter(pk=self.pk, status=ClientStatus.OFFBOARDED).exists():
            return
        on_servers = self.bots.filter(deployments__sent_at__isnull=False, deployments__ended_at__isnull=True)
        if names := ", ".join(on_servers.values_list("name", flat=True)):
            raise ValidationError(
                {
                    "status": f"These bots are still on a server and may be trading with this client's money: {names}. "
                    "Archive them first."
                }
            )

    @property
    def is_offboarded(self) -> bool:
        return self.status == ClientStatus.OFFBOARDED

    @property
    def is_pushed(self) -> bool:
        return self.profiles.exists()

    def profile_on(self, server: Server) -> CredentialsProfile | None:
        return next((profile for profile in self.profiles.all() if profile.server_id == server.pk), None)

    @property
    def profile(self) -> CredentialsProfile | None:
        """The profile on the client's own server."""
        return self.profile_on(self.server)

    @property
    def profile_text(self) -> str:
        """The state of the keys compared with the server: the worst of them."""
        states = [key.state for key in self.keys.all()]
        return min(states, key=lambda state: state.rank).label if states else "no keys yet"
