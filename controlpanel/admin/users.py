"""Users in the panel's design: who they are first, what they may do behind “Advanced”."""

from copy import deepcopy
from typing import Any

from axes.utils import reset
from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.forms import UserChangeForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from accounts.models import Client
from client_reports.models import ShareLink
from controlpanel.access.brake import locked_usernames
from controlpanel.access.delegation import grantable_groups, may_change
from controlpanel.access.invitations import is_mailed
from controlpanel.access.notices import tell
from controlpanel.access.passwords import NewUserPasswordForm, UserPasswordForm
from controlpanel.access.sessions import keeping_key, live_sessions, sign_out
from controlpanel.access.two_factor import log_change
from controlpanel.admin.invitations import InvitesMixin
from controlpanel.admin.roles import PermissionsMixin
from controlpanel.models import Invitation, SecondFactor
from core.acting import note_refusal
from core.admin.edit_conflicts import EditConflictMixin
from core.visibility import AnyUser
from json_api.models import Token
from operations.models import Operation

admin.site.unregister(User)


class NewUserForm(NewUserPasswordForm):
    """A user has a role from the beginning, and is let into the panel for it."""

    usable_password = None
    role = forms.ModelChoiceField(
        queryset=Group.objects.none(),
        empty_label="Choose …",
        widget=UnfoldAdminSelectWidget(),
        help_text="Account managers see only their own clients.",
    )

    def save(self, commit: bool = True) -> User:
        self.instance.is_staff = True
        return super().save(commit)

    def _save_m2m(self) -> None:
        super()._save_m2m()
        self.instance.groups.set([self.cleaned_data["role"]])


@admin.register(User)
class UserAdmin(InvitesMixin, PermissionsMixin, EditConflictMixin, DjangoUserAdmin):
    holders = "user"
    when_empty = "A user signs in to the panel and has a role."
    form = UserChangeForm
    add_form = NewUserForm
    change_password_form = UserPasswordForm
    list_display = ("username", "roles", "last_login", "second_factor_label", "sign_in_label")
    list_filter = ("groups", "is_active", "is_superuser")
    actions = ("unlock", "remove_second_factor", "revoke_tokens")
    add_fieldsets = ((None, {"fields": ("username", "role", "password1", "password2")}),)
    #: What a superuser alone decides on is not even shown to others.
    fieldsets = (
        ("Person", {"fields": ("first_name", "last_name", "email", "username")}),
        ("Role", {"fields": ("groups",)}),
    )
    #: One's own roles are for others to change: a role may be what requires a second factor.
    own_fieldsets = (
        fieldsets[0],
        ("Role", {"fields": ("roles",), "description": "Your own role can be changed by another administrator only."}),
    )
    readonly_fields = ("roles",)
    superuser_fieldsets = (
        *fieldsets,
        ("Advanced", {"fields": ("is_staff", "is_superuser", "user_permissions"), "classes": ("collapse",)}),
    )
    show_add_link = False  # the list has “Invite user”
    search_help_text = "Search by username, name or e-mail"
    list_before_template = "controlpanel/pending_invitations.html"
    change_form_outer_before_template = "controlpanel/user_facts.html"
    change_list_template = "controlpanel/users.html"
    # Django's two boxes side by side are neither for a phone nor for a screen reader.
    filter_horizontal = ()

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[User]:
        locked = models.Q(username__in=list(locked_usernames()))
        users = (
            super().get_queryset(request).annotate(is_locked=models.ExpressionWrapper(locked, models.BooleanField()))
        )
        return users.select_related("second_factor", "invitation").prefetch_related("groups")

    def get_urls(self) -> list[URLPattern]:
        acts = {"suspend": self.suspend_view, "restore": self.restore_view, "sign-out": self.sign_out_view}
        own = [
            path(f"<int:pk>/{act}/", self.admin_site.admin_view(require_POST(view)), name=f"auth_user_{act}")
            for act, view in acts.items()
        ]
        return own + super().get_urls()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # Users are suspended. One who never signed in can be deleted on the user's page.
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    # --- the pages ------------------------------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        more = {
            "invitations": self.pending_invitations(request),
            "may_invite": self.has_add_permission(request),
            "mailed": is_mailed(),
        }
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        more: dict[str, Any] = {"show_save_and_add_another": False}
        if (user := self.get_object(request, object_id)) is not None:
            may_act = self.has_change_permission(request, user)
            more |= {
                "roles": self.roles(user),
                "sign_in": self.sign_in_label(user),
                "second_factor": self.second_factor_label(user),
                "sessions": live_sessions(user).count() if may_act else None,
                "tokens": Token.objects.usable(timezone.now()).filter(user=user).count(),
                "invitation": getattr(user, "invitation", None),
                "may_act": may_act,
                "is_self": user == request.user,
                "mailed": is_mailed(),
            }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    @transaction.atomic
    def suspend_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        user = self._user_to_act_on(request, pk)
        if user == request.user:
            messages.error(request, "You can't suspend yourself. Ask another administrator.")
        elif User.objects.filter(pk=pk, is_active=True).update(is_active=False):
            sign_out(user)
            log_change(request, user, "Suspended.")
            messages.success(
                request, f"{user} is suspended: signed out everywhere, without access to pages or the API."
            )
            if links := _links_that_work(user, request.user):
                messages.warning(request, links)
        return HttpResponseRedirect(reverse("admin:auth_user_change", args=[pk]))

    @transaction.atomic
    def restore_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        user = self._user_to_act_on(request, pk)
        if User.objects.filter(pk=pk, is_active=False).update(is_active=True):
            sign_out(user)  # from where a sign-in had begun when they were suspended
            log_change(request, user, "Restored.")
            messages.success(request, f"{user} can sign in again. Their API tokens work again too.")
        return HttpResponseRedirect(reverse("admin:auth_user_change", args=[pk]))

    @transaction.atomic
    def sign_out_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        user = self._user_to_act_on(request, pk)
        own = user == request.user
        count = sign_out(user, keep=request.session.session_key if own else None)
        log_change(request, user, f"Signed out everywhere: {count}.")
        messages.success(
            request, f"Ended {count} session{'' if count == 1 else 's'}{' besides this one' if own else ''}."
        )
        return HttpResponseRedirect(reverse("admin:auth_user_change", args=[pk]))

    def _user_to_act_on(self, request: HttpRequest, pk: int) -> User:
        user = get_object_or_404(User, pk=pk) if self.has_change_permission(request) else None
        if user is None or not self.has_change_permission(request, user):
            raise PermissionDenied
        return user

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "email" in form.changed_data and obj.last_login:  # an invitation's may have been mistyped
            tell(
                obj,
                "Changed your e-mail address: notices like this one no longer reach you here.",
                form["email"].initial,
            )

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        is_own = obj == request.user
        shown = self.own_fieldsets if is_own else self.fieldsets
        return self.superuser_fieldsets if request.user.is_superuser else shown

    def get_form(self, request: HttpRequest, obj: User | None = None, **kwargs: Any) -> Any:  # type: ignore[override]
        form: Any = super().get_form(request, obj, **kwargs)
        if obj is None:
            # Not in the field that the class declares: other requests build their forms of it at the same time.
            form.base_fields["role"] = deepcopy(form.base_fields["role"])
            form.base_fields["role"].queryset = grantable_groups(request.user)
        return form

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        if db_field.name == "groups":
            kwargs["queryset"] = grantable_groups(request.user)
            kwargs["label"] = "Roles"
            kwargs["widget"] = UnfoldAdminCheckboxSelectMultipleWidget()
            kwargs["help_text"] = (
                f'<a href="{reverse("admin:auth_group_changelist")}">What each role may do</a>. '
                "Account managers see only their own clients."
            )
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # This applies to the password's page and to the actions below, too.
        return super().has_change_permission(request, obj) and (obj is None or may_change(request.user, obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Only a user who has done nothing yet can be deleted: the history keeps the names of all others."""
        if not super().has_delete_permission(request, obj):
            return False
        return obj is None or (may_change(request.user, obj) and not _has_history(obj))

    @display(description="role")
    def roles(self, user: User) -> str:
        names = ["Superuser"] if user.is_superuser else []
        return ", ".join([*names, *(group.name for group in user.groups.all())]) or "none yet"

    @display(description="two-factor", label={"on": "success", "off": "warning"})
    def second_factor_label(self, user: User) -> str:
        factor = getattr(user, "second_factor", None)
        return "on" if factor is not None and factor.confirmed else "off"

    @display(
        description="sign-in", label={"allowed": "success", "locked": "danger", "invited": "info", "suspended": ""}
    )
    def sign_in_label(self, user: User) -> str:
        if not user.is_active:
            return "suspended"
        if hasattr(user, "invitation"):
            return "invited"
        return "locked" if user.is_locked else "allowed"  # type: ignore[attr-defined]

    @admin.action(description="Unlock", permissions=["change"])
    @transaction.atomic
    def unlock(self, request: HttpRequest, queryset: models.QuerySet[User]) -> None:
        for user in self._changeable(request, queryset):
            reset(username=user.get_username())
            SecondFactor.objects.filter(user=user).update(throttling_failure_count=0, throttling_failure_timestamp=None)
            log_change(request, user, "Unlocked sign-in after wrong passwords.")
            messages.success(request, f"{user} can sign in again.")

    @admin.action(description="Remove two-factor authentication", permissions=["change"])
    @transaction.atomic
    def remove_second_factor(self, request: HttpRequest, queryset: models.QuerySet[User]) -> None:
        for user in self._changeable(request, queryset):
            if user == request.user:
                # Otherwise anyone with a stolen session could do it.
                messages.error(
                    request, "Remove your own on the page “Two-factor authentication”, which asks for a code."
                )
            elif SecondFactor.objects.filter(user=user).delete()[0]:
                log_change(request, user, "Removed two-factor authentication.")
                messages.success(
                    request, f"{user} now signs in without two-factor authentication. Ask them to set it up again."
                )
            else:
                messages.warning(request, f"{user} has no two-factor authentication.")

    @admin.action(description="Revoke API tokens", permissions=["change"])
    @transaction.atomic
    def revoke_tokens(self, request: HttpRequest, queryset: models.QuerySet[User]) -> None:
        for user in self._changeable(request, queryset):
            if count := Token.objects.filter(user=user).revoke():
                log_change(request, user, f"Revoked API tokens: {count}.")
                messages.success(request, f"Revoked {user}'s API tokens ({count}). No tool can act as {user} any more.")
            else:
                messages.warning(request, f"{user} has no active API tokens.")

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        user = self.get_object(request, unquote(id))
        if user == request.user:
            return redirect("admin:password_change")  # which takes the old one
        with keeping_key(request):
            response = super().user_change_password(request, id, form_url)
        if response.status_code == 302 and "unset-password" in request.POST and user is not None:
            tell(user, "Removed the password.")  # which asks no validator of passwords
        if response.status_code == 302:
            Invitation.objects.filter(user=user).delete()  # its link would set another password
        if response.status_code == 302 and (count := Token.objects.usable(timezone.now()).filter(user=user).count()):
            messages.warning(
                request,
                f"The new password ends this user's sessions, but not their API tokens: {count} still work. If others "
                "may know them, use “Revoke API tokens” in the list of users.",
            )
        return response

    def _changeable(self, request: HttpRequest, queryset: models.QuerySet[User]) -> list[User]:
        users = list(queryset)
        for user in users:
            if not self.has_change_permission(request, user):
                note_refusal(user, "An action in the list of users: this one has more than who chose it.")
                messages.error(request, f"Nothing was changed: {user} has permissions or clients that you don't have.")
        return [user for user in users if self.has_change_permission(request, user)]


def _links_that_work(maker: User, reader: AnyUser) -> str:
    """Return whose reports can still be read by links that a user has made, for a reader who sees these clients; empty
    if nobody's.
    """
    links = ShareLink.objects.visible_to(reader).usable(timezone.now()).filter(created_by=maker)
    clients = [
        (reverse("client_report_links", args=[client.pk]), client)
        for client in Client.objects.filter(pk__in=links.values("client"))
    ]
    if not clients:
        return ""
    named = format_html_join(", ", '<a class="panel-link" href="{}">{}</a>', clients)
    return format_html("Links to reports that {} made still work, until they expire or are revoked: {}.", maker, named)


def _has_history(user: User) -> bool:
    return (
        user.last_login is not None
        or LogEntry.objects.filter(user=user).exists()
        or Operation.objects.filter(requested_by=user).exists()
    )
