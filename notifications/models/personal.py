"""What a user has chosen for their own notifications, and what they have seen of them."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import Q

from notifications.kinds import Severity


class PersonalSettings(models.Model):
    """A user's quiet hours, what the browser shows, and how far they have looked and read."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notification_settings"
    )
    quiet_from = models.TimeField(null=True)
    quiet_to = models.TimeField(null=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    critical_anytime = models.BooleanField(default=True, help_text="Critical incidents are sent in quiet hours too.")
    browser_severity = models.CharField(
        max_length=8, choices=Severity, blank=True, help_text="The least severe that a browser shows; empty: none."
    )
    opened_at = models.DateTimeField(null=True, help_text="When the user last opened the list behind the bell.")
    read_at = models.DateTimeField(null=True, help_text="What happened before counts as read.")

    class Meta:
        default_permissions = ()
        constraints = [
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_to=None) | Q(quiet_from__isnull=False, quiet_to__isnull=False),
                name="quiet_hours_have_both_ends",
            ),
        ]

    def __str__(self) -> str:
        return f"Notifications of {self.user}"

    def quiet_until(self, now: datetime, severity: Severity) -> datetime | None:
        """Return the end of the quiet hours that hold back an incident of this severity now, if any do."""
        if self.quiet_from is None or self.quiet_to is None:
            return None
        if severity == Severity.CRITICAL and self.critical_anytime:
            return None
        zone = ZoneInfo(self.time_zone)
        today = now.astimezone(zone).date()
        over_midnight = timedelta(days=self.quiet_to <= self.quiet_from)
        # Those that began yesterday may last until now.
        for day in (today - timedelta(days=1), today):
            begin = datetime.combine(day, self.quiet_from, zone)
            end = datetime.combine(day + over_midnight, self.quiet_to, zone)
            if begin <= now < end:
                return end
        return None
