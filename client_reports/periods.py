"""The period of a report, as a form or an address names it."""

from datetime import date
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from client_reports.models import last_month

#: Days of the longest report.
LONGEST = 366
#: Nothing was traded before. The first days that there are have none before them to compare with.
EARLIEST = date(2000, 1, 1)


class PeriodForm(forms.Form):
    """From one day to another, both included, in UTC. Without days it is the last month."""

    first = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs={"type": "date"}))
    last = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, data: Any) -> None:
        super().__init__(data, label_suffix="")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last")
        if first or last:
            check_period(first, last)
        return cleaned

    @property
    def period(self) -> tuple[date, date]:
        """The requested period; the last month when it is not valid, or none was given."""
        first, last = (
            (self.cleaned_data.get("first"), self.cleaned_data.get("last")) if self.is_valid() else (None, None)
        )
        return (first, last) if first and last else last_month(timezone.now().date())


def check_period(first: date | None, last: date | None) -> None:
    """Raise ``ValidationError`` unless there can be a report for these days."""
    if first is None or last is None:
        raise ValidationError("Enter both days, or neither.")
    if first > last:
        raise ValidationError("The first day is after the last one.")
    if first < EARLIEST:
        raise ValidationError(f"The first day is before {EARLIEST}.")
    if first > timezone.now().date():
        raise ValidationError("The period has not begun yet.")
    if (last - first).days >= LONGEST:
        raise ValidationError(f"A report has at most {LONGEST} days.")


def read_month(text: str) -> tuple[date, date]:
    """Return the first and the last day of a month such as ``2026-11``.

    Raises:
        ValueError: it is not a month.
    """
    first = date.fromisoformat(f"{text}-01")
    following = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first, date.fromordinal(following.toordinal() - 1)
