"""Forms that are filled in again after a session has ended: see ``accounts.drafts``."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.utils.datastructures import MultiValueDict

from accounts.drafts import draft_drop, draft_keep, draft_of, mark_for
from accounts.models.form_draft import FormDraft
from core.admin.base import PanelAdmin
from core.admin.widgets import SecretInput

KEPT = "Kept, encrypted. Leave this empty to use what you entered, or enter another value."


class RestoredForm(forms.ModelForm):
    """Mixed into a form that shows what was typed before. Its secrets are kept, and not shown."""

    draft: FormDraft

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.typed = self.draft.values
        mark_kept(self, {name for name in secret_fields(self) if any(self.typed.get(name, ()))})

    def get_initial_for_field(self, field: forms.Field, field_name: str) -> Any:
        """Return what the field would show had the draft been sent: a switch that is off was not."""
        if not self.typed or isinstance(field.widget, SecretInput):
            return super().get_initial_for_field(field, field_name)
        data = MultiValueDict(self.typed)
        return field.widget.value_from_datadict(data, MultiValueDict(), self.add_prefix(field_name))

    @property
    def opened_with(self) -> str:
        """Of the page on which it was typed: another user may have saved since."""
        return (self.typed.get("opened_with") or [""])[0]


def secret_fields(form: forms.BaseForm | type[forms.ModelForm]) -> list[str]:
    fields = form.fields if isinstance(form, forms.BaseForm) else form.base_fields
    return [name for name, field in fields.items() if isinstance(field.widget, SecretInput)]


def mark_kept(form: forms.BaseForm, names: set[str]) -> None:
    """Say at these fields that their secret is kept."""
    for name in names:
        field = form.fields[name]
        form[name].help_text = field.help_text = KEPT
        field.required = False
        field.widget.attrs["placeholder"] = "Kept"


class DraftsMixin(PanelAdmin):
    """Keeps what was typed into the model's forms. A refused form's secrets are kept, too: nobody enters them again."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        draft = draft_of(request)
        if draft is not None and request.method == "POST":
            if "_discard" in request.POST:
                draft_drop(request)
                return HttpResponseRedirect(request.get_full_path())
            request.POST = self._with_kept_secrets(request, draft, object_id)  # type: ignore[assignment]
        marks = {"draft_mark": mark_for(request), "restored": draft is not None and request.method == "GET"}
        response: HttpResponse = super().changeform_view(request, object_id, form_url, marks | (extra_context or {}))
        if request.method == "POST":
            self._after_sending(request, response, draft)
        return response

    def get_form(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, **kwargs)
        draft = draft_of(request) if request.method == "GET" else None
        return form if draft is None else type(form.__name__, (RestoredForm, form), {"draft": draft})

    def kept_names(self, request: HttpRequest, draft: FormDraft) -> set[str]:
        """Return the fields whose kept secrets fit the form that was sent."""
        return set()

    def _with_kept_secrets(self, request: HttpRequest, draft: FormDraft, object_id: str | None) -> QueryDict:
        sent, kept = request.POST.copy(), draft.values
        names = self.kept_names(request, draft)
        form = self.get_form(request, self.get_object(request, object_id) if object_id else None) if names else None
        # What is shown in the form, and was emptied there, is to be empty.
        for name in names.intersection(secret_fields(form) if form else ()):
            if not sent.get(name) and any(kept.get(name, ())):
                sent.setlist(name, kept[name])
        return sent

    def _after_sending(self, request: HttpRequest, response: HttpResponse, draft: FormDraft | None) -> None:
        context = response.context_data if isinstance(response, TemplateResponse) else None
        form = context["adminform"].form if context and "adminform" in context else None
        if form is None:
            if draft is not None and response.status_code == 302:
                draft_drop(request)
            return
        names = {name for name in secret_fields(form) if name not in form.errors and request.POST.get(name)}
        if not names:
            return
        others = set(secret_fields(form)) - names
        typed = {name: entries for name, entries in request.POST.lists() if name not in others}
        if draft_keep(request=request, response=response, user_id=request.user.pk or 0, values=typed):
            mark_kept(form, names)
