"""What the panel keeps about its own users: what their roles were given, and their second factors."""

import math
import re
import secrets
import time
from base64 import b32encode
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import models
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django_otp.models import Device, ThrottlingMixin
from django_otp.oath import TOTP

from core.encryption import EncryptedTextField, fingerprint
from notifications.sending.outbox import Outgoing

RECOVERY_CODES = 10
#: After so many wrong codes the pause doubles no more: 256 seconds.
MAX_DOUBLED = 9
#: What the canary says when its key is there. See ``controlpanel.starting.canary``.
CANARY = "canary"


class RoleGrant(models.Model):
    """A permission that a role was given once, whether or not it still has it."""

    role = models.CharField(max_length=40)
    permission = models.CharField(max_length=140)

    class Meta:
        default_permissions = ()
        permissions = [("view_system", "Can see what runs the panel")]
        constraints = [
            models.UniqueConstraint(fields=["role", "permission"], name="unique_permission_per_role"),
        ]

    def __str__(self) -> str:
        return f"{self.role}: {self.permission}"


def new_key() -> str:
    return secrets.token_hex(20)


class SecondFactor(ThrottlingMixin, Device):
    """A user's authenticator app, and the recovery codes for when it is lost.

    django-otp's own devices store the app's key and the codes in plain text; here the key is encrypted, and only keyed
    hashes of the codes are kept. It counts once a first code has confirmed it.
    """

    name = None
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="second_factor")
    confirmed = models.BooleanField(default=False)
    key = EncryptedTextField(default=new_key)
    last_step = models.BigIntegerField(default=-1, help_text="Of the last accepted code. Each code is accepted once.")
    recovery_hashes = models.JSONField(default=list)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Two-factor authentication of {self.user}"

    def get_throttle_factor(self) -> int:
        """Return for how many seconds no code is accepted after a wrong one; doubles with each further one."""
        return 1

    @property
    def pause(self) -> int:
        """For how many more seconds no code is taken, because of wrong ones."""
        is_allowed, why = self.verify_is_allowed()
        return 0 if is_allowed else math.ceil((why["locked_until"] - timezone.now()).total_seconds())

    def verify_token(self, token: str) -> bool:
        """Take a code, if no pause is due."""
        return not self.pause and self.take(token)

    def take(self, token: str) -> bool:
        """Take a code of the app or a recovery code, once."""
        entered = re.sub(r"[\s-]", "", token).lower()
        if taken := self._take_app_code(entered) or self._take_recovery_code(entered):
            self.throttle_reset(commit=False)
        else:
            self.throttle_increment(commit=False)
            # Who knows the password could otherwise lock the user out for years.
            self.throttling_failure_count = min(self.throttling_failure_count, MAX_DOUBLED)  # type: ignore[has-type]
        self.save()
        return taken

    def _take_app_code(self, entered: str) -> bool:
        if not self.key or not re.fullmatch(r"[0-9]{6}", entered):  # a key that can't be decrypted is none
            return False
        totp = TOTP(bytes.fromhex(str(self.key)))
        totp.time = time.time()
        # A phone's clock may be one step of 30 s off.
        taken = bool(totp.verify(int(entered), tolerance=1, min_t=self.last_step + 1))
        if taken:
            self.last_step = totp.t()
        return taken

    def _take_recovery_code(self, entered: str) -> bool:
        hashed = _hashed(entered)
        if hashed not in self.recovery_hashes:
            return False
        self.recovery_hashes.remove(hashed)
        return True

    def renew_recovery_codes(self) -> list[str]:
        """Replace the recovery codes and return the new ones for the user to keep: they can't be shown again. Saves."""
        codes = [secrets.token_hex(5) for _ in range(RECOVERY_CODES)]
        self.recovery_hashes = [_hashed(code) for code in codes]
        self.save()
        return [f"{code[:5]}-{code[5:]}" for code in codes]

    @property
    def key_text(self) -> str:
        """The key as apps take it by hand, in groups of four."""
        text = b32encode(bytes.fromhex(str(self.key))).decode()
        return " ".join(re.findall(".{4}", text))

    @property
    def setup_url(self) -> str:
        """The content of the QR code."""
        issuer = str(settings.UNFOLD["SITE_TITLE"])
        query: dict[str, Any] = {"secret": self.key_text.replace(" ", ""), "issuer": issuer}
        return f"otpauth://totp/{quote(f'{issuer}:{self.user.get_username()}')}?{urlencode(query, quote_via=quote)}"


def _hashed(code: str) -> str:
    return salted_hmac("recovery code", code, algorithm="sha256").hexdigest()


class Identity(models.Model):
    """Who a user is at the provider of single sign-on. Its subject never changes and is never given to another one."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="identity")
    issuer = models.CharField(max_length=200)
    subject = models.CharField(max_length=255)
    linked_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="unique_identity")]

    def __str__(self) -> str:
        return f"Identity of {self.user} at {self.issuer}"


class SignedInSession(models.Model):
    """Where and when a session began, and when its user last did something in it. It goes with the session.

    Attributes:
        wrong_guesses: how many wrong passwords and codes were entered in it.
    """

    session = models.OneToOneField(Session, on_delete=models.CASCADE, primary_key=True, related_name="+")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="signed_in_sessions")
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    address = models.GenericIPAddressField(null=True)
    browser = models.CharField(max_length=80, blank=True)
    wrong_guesses = models.PositiveSmallIntegerField(default=0, db_default=0)

    class Meta:
        ordering = ["-seen_at"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"Session of {self.user}"


class Invitation(Outgoing):
    """A user who has not set a password yet, and the e-mail with the link to do so.

    The link is made from the row and from the user, like Django's link for a new password: nothing of it is stored.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="invitation")
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    origin = models.CharField(max_length=200, help_text="The panel's address, as the inviter's browser has it.")
    issued_at = models.DateTimeField(default=timezone.now, help_text="A new link ends the previous one.")

    class Meta:
        ordering = ["-issued_at"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"Invitation of {self.user}"

    @property
    def expires_at(self) -> datetime:
        return self.issued_at + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)

    @property
    def is_expired(self) -> bool:
        return self.expires_at <= timezone.now()


class SignInNotice(Outgoing):
    """An e-mail to a user whose way to sign in was changed.

    Attributes:
        by: the name of who did it; empty in a terminal.
        recipient: the user's address when it was done; who did it can change the user's.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    sentence = models.CharField(max_length=200)
    by = models.CharField(max_length=150, blank=True)
    recipient = models.EmailField(blank=True, default="", db_default="")
    address = models.GenericIPAddressField(null=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user}: {self.sentence}"


def secret_key_mark() -> str:
    """Return a keyed hash that changes with ``SECRET_KEY``."""
    return fingerprint({"mark": "SECRET_KEY"})


class Installation(models.Model):
    """What an installation of the panel knows about itself: one row.

    Attributes:
        canary: a known text. Only with the right ``FERNET_KEYS`` it can be read.
        secret_key_mark: shows whether ``SECRET_KEY`` is still the one that the database was used with.
    """

    canary = EncryptedTextField(default=CANARY)
    secret_key_mark = models.CharField(max_length=32, default=secret_key_mark)
    backed_up_at = models.DateTimeField(null=True, help_text="When “manage.py backup” last wrote a file.")
    restored_at = models.DateTimeField(null=True, help_text="When “manage.py restore” last replaced this database.")
    restored_from = models.DateTimeField(null=True, help_text="When the backup that was restored had been taken.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return "This installation"

    @classmethod
    def current(cls) -> "Installation | None":
        return cls.objects.first()
