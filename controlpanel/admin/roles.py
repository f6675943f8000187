"""Roles in the admin: which permissions each has, and a table of what each may do."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.models import Group, Permission
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from controlpanel.access.roles import ROLES, permissions_that_count, role_table
from core.admin.base import PanelAdmin
from core.admin.edit_conflicts import EditConflictMixin

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


@admin.register(Group)
class GroupAdmin(PermissionsMixin, EditConflictMixin, DjangoGroupAdmin):  # type: ignore[misc]
    """The roles, and groups of the host's own. A role keeps its name, by which a new release finds it."""

    holders = "group"
    filter_horizontal = ()
    fieldsets = ((None, {"fields": ("name", "permissions")}),)
    shown_fieldsets = ((None, {"fields": ("name", "allowed")}),)
    list_title = "Roles"
    search_fields = ()
    list_display = ("role",)
    list_before_template = "controlpanel/role_table.html"
    ordering = ("pk",)
    when_empty = "“manage.py migrate” creates the roles."

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "role_table": role_table()})

    def get_fieldsets(self, request: HttpRequest, obj: Group | None = None) -> Any:
        writes = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        return self.fieldsets if writes else self.shown_fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> tuple[str, ...]:
        return ("allowed", "name") if obj and obj.name in ROLES.values() else ("allowed",)

    @display(description="role", ordering="name")
    def role(self, group: Group) -> str:
        return group.name

    @display(description="permissions")
    def allowed(self, group: Group) -> str:
        names = group.permissions.values_list("name")
        return format_html('<ul class="panel-points">{}</ul>', format_html_join("", "<li>{}</li>", names))

    # Who may change a group can give themselves anything: the permission for it, which could be given to a person, is
    # not enough.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser) and not (obj and obj.name in ROLES.values())
