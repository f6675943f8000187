"""The dashboard, and users and groups in the panel's design."""

from copy import deepcopy
from typing import Any

from axes.utils import reset
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminSelectWidget

from controlpanel.access.brake import locked_usernames
from controlpanel.access.delegation import grantable_groups, may_change
from controlpanel.access.roles import ROLES, permissions_that_count
from controlpanel.access.two_factor import log_change
from controlpanel.models import SecondFactor
from core.admin.base import PanelAdmin
from json_api.models import Token

admin.site.index_template = "controlpanel/home.html"
admin.site.unregister(User)
admin.site.unregister(Group)


class PermissionsField(forms.ModelMultipleChoiceField):
    """A labeled checkbox for each."""

    widget = UnfoldAdminCheckboxSelectMultipleWidget

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.name)


class PermissionsMixin(PanelAdmin):
    """For the forms of users and groups, which hold permissions.

    Attributes:
        holders: the lookup from a permission to those who hold it.
    """

    holders: str

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        if db_field.related_model is Permission:
            # Existing permissions are offered too, or the next save would remove them silently.
            pk = request.resolver_match.kwargs.get("object_id") if request.resolver_match else None
            held = Permission.objects.filter(**{self.holders: pk}) if pk else Permission.objects.none()
            offered = Permission.objects.filter(
                models.Q(pk__in=permissions_that_count().values("pk")) | models.Q(pk__in=held.values("pk"))
            )
            kwargs |= {"form_class": PermissionsField, "queryset": offered.select_related("content_type")}
        return super().formfield_for_manytomany(db_field, request, **kwargs)


class NewUserForm(UserCreationForm):
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
class UserAdmin(PermissionsMixin, DjangoUserAdmin):
    holders = "user"
    when_empty = "A user signs in to the panel and has a role."
    form = UserChangeForm
    add_form = NewUserForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "roles", "last_login", "second_factor_label", "sign_in_label")
    list_filter = ("groups", "is_active", "is_superuser")
    actions = ("unlock", "remove_second_factor", "revoke_tokens")
    add_fieldsets = ((None, {"fields": ("username", "role", "password1", "password2")}),)
    #: What a superuser alone decides on is not even shown to others.
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Role", {"fields": ("is_active", "is_staff", "groups")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    superuser_fieldsets = (*fieldsets, ("Advanced permissions", {"fields": ("is_superuser", "user_permissions")}))
    readonly_fields = ("last_login", "date_joined")
    # Django's two boxes side by side are neither for a phone nor for a screen reader.
    filter_horizontal = ()

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[User]:
        locked = models.Q(username__in=list(locked_usernames()))
        users = (
            super().get_queryset(request).annotate(is_locked=models.ExpressionWrapper(locked, models.BooleanField()))
        )
        return users.select_related("second_factor").prefetch_related("groups")

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        return self.superuser_fieldsets if request.user.is_superuser else self.fieldsets

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
                "The page “Roles” lists the permissions of each role. Account managers see only their own clients."
            )
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # This applies to the password's page and to the actions below, too.
        return super().has_change_permission(request, obj) and (obj is None or may_change(request.user, obj))

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or may_change(request.user, obj))

    @display(description="role")
    def roles(self, user: User) -> str:
        names = ["Superuser"] if user.is_superuser else []
        return ", ".join([*names, *(group.name for group in user.groups.all())]) or "none yet"

    @display(description="two-factor", label={"on": "success", "off": "warning"})
    def second_factor_label(self, user: User) -> str:
        factor = getattr(user, "second_factor", None)
        return "on" if factor is not None and factor.confirmed else "off"

    @display(description="sign-in", label={"allowed": "success", "locked": "danger", "disabled": ""})
    def sign_in_label(self, user: User) -> str:
        if not user.is_active:
            return "disabled"
        return "locked" if user.is_locked else "allowed"  # type: ignore[attr-defined]

    @admin.action(description="Unlock", permissions=["change"])
    def unlock(self, request: HttpRequest, queryset: models.QuerySet[User]) -> None:
        for user in self._changeable(request, queryset):
            reset(username=user.get_username())
            log_change(request, user, "Unlocked sign-in after wrong passwords.")
            messages.success(request, f"{user} can sign in again.")

    @admin.action(description="Remove two-factor authentication", permissions=["change"])
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
    def revoke_tokens(self, request: HttpRequest, queryset: models.QuerySet[User]) -> None:
        for user in self._changeable(request, queryset):
            if count := Token.objects.filter(user=user).revoke():
                log_change(request, user, f"Revoked API tokens: {count}.")
                messages.success(request, f"Revoked {user}'s API tokens ({count}). No tool can act as {user} any more.")
            else:
                messages.warning(request, f"{user} has no active API tokens.")

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        response = super().user_change_password(request, id, form_url)
        if response.status_code == 302 and (count := Token.objects.usable(timezone.now()).filter(user=int(id)).count()):
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
                messages.error(request, f"{user} has more permissions than you, so nothing was changed.")
        return [user for user in users if self.has_change_permission(request, user)]


@admin.register(Group)
class GroupAdmin(PermissionsMixin, DjangoGroupAdmin):
    """The roles, and groups of the host's own. A role keeps its name, by which a new release finds it."""

    holders = "group"
    filter_horizontal = ()
    fieldsets = ((None, {"fields": ("name", "permissions")}),)
    shown_fieldsets = ((None, {"fields": ("name", "allowed")}),)
    list_title = "Roles"
    when_empty = "“manage.py migrate” creates the roles."

    def get_fieldsets(self, request: HttpRequest, obj: Group | None = None) -> Any:
        writes = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return self.fieldsets if writes else self.shown_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> tuple[str, ...]:
        return ("allowed", "name") if obj and obj.name in ROLES.values() else ("allowed",)

    @display(description="permissions")
    def allowed(self, group: Group) -> str:
        names = group.permissions.values_list("name")
        return format_html('<ul class="panel-points">{}</ul>', format_html_join("", "<li>{}</li>", names))

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.name in ROLES.values())
