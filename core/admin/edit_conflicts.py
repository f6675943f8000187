"""One form open in two places: a save must not silently overwrite another user's newer save.

A page carries hashes of the values that it showed, of the form's own fields only, so that values observed in the
background never count. A save that would restore an older value is rejected once, with the input still in the form. The
page with the error shows the current values: saving it again is intentional.
"""

import json
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core import signing
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.formats import date_format

from core.admin.base import PanelAdmin

#: The code of the error with which a save is refused.
CHANGED = "changed_meanwhile"


class OpenedForm(forms.ModelForm):
    """Mixed into a change form. What else than its fields it would write over is among its ``initial`` values, too."""

    @property
    def opened_with(self) -> str:
        """For the page to carry: when it was opened, and a hash of each value that the row has now."""
        return signing.dumps({"at": timezone.now().isoformat(), "values": self._hashes()}, salt=__name__)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if names := self._changed_meanwhile():
            labels = ", ".join(f"“{self[name].label}”" if name in self.fields else name for name in names)
            refusal = (
                f"Nothing was saved. Since you opened this page, {labels} changed{self._by_whom()}. Your input is "
                "still here. Save again to overwrite that change. To see it, open the page in another window."
            )
            self.add_error(None, ValidationError(refusal, code=CHANGED))
        return cleaned

    def _hashes(self) -> dict[str, str]:
        return {
            name: salted_hmac(__name__, json.dumps(value, default=str, sort_keys=True)).hexdigest()[:16]
            for name, value in self.initial.items()
        }

    def _carried(self) -> dict[str, Any]:
        """Return the hashes that the page carried; nothing when no page of the panel sent the request."""
        try:
            carried: dict[str, Any] = signing.loads(self.data.get("opened_with", ""), salt=__name__)
        except signing.BadSignature:
            return {}
        return carried

    def _changed_meanwhile(self) -> list[str]:
        """Return the fields that differ from what the page showed and would be overwritten."""
        shown = self._carried().get("values", {})
        left_as_it_is = set(self.fields).difference(self.changed_data)
        now = self._hashes()
        return [name for name in now if shown.get(name, now[name]) != now[name] and name not in left_as_it_is]

    def _by_whom(self) -> str:
        """Return the users who have saved the row since, as far as its history shows."""
        saved = LogEntry.objects.filter(
            content_type=ContentType.objects.get_for_model(self.instance),
            object_id=str(self.instance.pk),
            action_flag=CHANGE,
            action_time__gte=datetime.fromisoformat(self._carried()["at"]),
        )
        who = {
            f"{entry.user} on {date_format(timezone.localtime(entry.action_time), 'j M, H:i')}"
            for entry in saved.select_related("user")
        }
        return f" ({', '.join(sorted(who))})" if who else ""


class EditConflictMixin(PanelAdmin):
    """For models that affect money: a change form opened before another user's save is not saved at once."""

    change_form_before_template = "core/opened_with.html"

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        if obj is not None:
            form: Any = kwargs.get("form", self.form)
            kwargs["form"] = type(form.__name__, (OpenedForm, form), {})
        return super().get_form(request, obj, **kwargs)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        obj = super().get_object(request, object_id, from_field)
        if obj is None or request.method != "POST" or not connection.in_atomic_block:
            return obj
        # Locked while it is saved: of two saves at the same instant the second finds what the first has written. Not
        # for rows that refer to it: those of the trail and the history of two who save each other would deadlock.
        self.model._base_manager.select_for_update(no_key=True).filter(pk=obj.pk).values("pk").first()
        return super().get_object(request, object_id, from_field)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if context["adminform"].form.has_error(NON_FIELD_ERRORS, CHANGED):
            # As a message at the top: the form may be far down on its page, and the next save counts.
            messages.error(request, "Nothing was saved: the object changed meanwhile. See the message above the form.")
        return super().render_change_form(request, context, *args, **kwargs)
