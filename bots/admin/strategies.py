"""Strategies in the admin: scripts with a code editor, and what of each a server would get."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.decorators import display

from accounts.models import Client
from bots.admin.controllers.pages import ControllersMixin
from bots.configuration.preview import as_json
from bots.models import Bot, Strategy, StrategyKind
from bots.strategies.schema import Setting, settings_in
from bots.strategies.source import read_script
from core.admin.base import PanelAdmin
from core.admin.edit_conflicts import EditConflictMixin
from core.admin.widgets import CodeEditor
from core.visibility import sees_every_client

#: A user who may write a script can run code with clients' keys.
WRITE_SCRIPT = "bots.write_script"
#: A placeholder in the example for the values that each bot sets itself.
TO_BE_ENTERED = "(entered for each bot)"
EDITORS = {
    "source": CodeEditor("python", file_type=".py", attrs={"rows": 30}),
    "default_settings": CodeEditor("json", attrs={"rows": 6}),
    "schema": CodeEditor("json", attrs={"rows": 6}),
}


class StrategyForm(forms.ModelForm):
    class Meta:
        model = Strategy
        fields = "__all__"  # noqa: DJ007 - the admin names them

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "source" in self.fields:
            self.fields["source"].strip = False  # type: ignore[attr-defined]  # the lines keep their numbers
        elif self.instance._state.adding:
            self.instance.kind = StrategyKind.CONTROLLER  # whatever was sent: a script needs a source

    def clean_source(self) -> str:
        """Return the source with the line ends of a file: a browser sends those of Windows, and the hash covers every
        byte.
        """
        source: str = self.cleaned_data["source"].replace("\r\n", "\n").replace("\r", "\n").rstrip()
        return f"{source}\n" if source else ""

    def full_clean(self) -> None:
        super().full_clean()
        if "source" in self.errors:
            self.fields["source"].widget.marks = read_script(self.instance.source).marks


class StrategyAdmin(ControllersMixin, EditConflictMixin, PanelAdmin):
    form = StrategyForm
    change_form_outer_before_template = "bots/strategy_facts.html"
    when_empty = "A strategy defines how a bot trades. “manage.py migrate” adds the bundled ones."
    list_display = ("name", "kind", "description", "bundled")
    list_filter = ("kind", "bundled")
    search_fields = ("name", "description")
    search_help_text = "Search by name or description"

    @property
    def media(self) -> forms.Media:
        # A script that may only be read is shown in the editor, too.
        return super().media + EDITORS["source"].media

    def get_fields(self, request: HttpRequest, obj: Strategy | None = None) -> list[str]:
        about = ["name", "kind", "description"]
        controller, common = ["controller_type", "controller_name"], ["spot_only", "default_settings", "schema"]
        if obj and not self.has_change_permission(request, obj):
            return [*about, *(["shown_source"] if obj.kind == StrategyKind.SCRIPT else controller), *common]
        rules = [*controller, *common]
        return [*about, "source", *rules] if request.user.has_perm(WRITE_SCRIPT) else [*about, *rules]

    def get_readonly_fields(self, request: HttpRequest, obj: Strategy | None = None) -> tuple[str, ...]:
        return ("shown_source",)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in EDITORS:
            kwargs["widget"] = EDITORS[db_field.name]
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "kind" and not request.user.has_perm(WRITE_SCRIPT):
            field.choices = [choice for choice in field.choices if choice[0] != StrategyKind.SCRIPT]
            field.initial = StrategyKind.CONTROLLER
        return field

    def has_change_permission(self, request: HttpRequest, obj: Strategy | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._may_be_written(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Strategy | None = None) -> bool:
        # The confirmation of a delete names the bots that use the strategy, including those of other clients.
        may_delete = super().has_delete_permission(request, obj) and sees_every_client(request.user)
        return may_delete and self._may_be_written(request, obj)

    @staticmethod
    def _may_be_written(request: HttpRequest, strategy: Strategy | None) -> bool:
        if strategy is None:
            return True
        is_script = strategy.kind == StrategyKind.SCRIPT
        return not strategy.bundled and (not is_script or request.user.has_perm(WRITE_SCRIPT))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        strategy = self.get_object(request, object_id)
        facts = strategy_facts(strategy) if strategy else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "facts": facts})

    @display(description="source")
    def shown_source(self, strategy: Strategy) -> SafeString:
        editor = CodeEditor("python", attrs={"readonly": True, "aria-label": "Source", "rows": 30})
        return editor.render("shown_source", strategy.source, {"id": "shown_source"})


def strategy_facts(strategy: Strategy) -> dict[str, Any]:
    """Return what a server would get of a saved strategy: read from its source, which is not run."""
    schema, defaults = strategy.settings_schema, strategy.defaults
    entered = {name: TO_BE_ENTERED for name in schema.get("required", ()) if name not in defaults}
    bot = Bot(
        name="example",
        client=Client(account_name="client_example"),
        strategy=strategy,
        connector="bitmart",
        trading_pair="BTC-USDT",
        settings=entered,
    )
    return {
        "script": read_script(strategy.source) if strategy.kind == StrategyKind.SCRIPT else None,
        "settings": [(setting, _default(setting, defaults)) for setting in settings_in(schema)],
        "config_name": bot.instance_name,
        "config": as_json(bot.render_config(bot.instance_name)),
    }


def _default(setting: Setting, defaults: Mapping[str, Any]) -> str:
    """Return the default as the file contains it; nothing when there is none."""
    value = setting.value_in(defaults, setting.schema.get("default", ...))
    return "" if value is ... else as_json(value)
