"""A bot's settings from a form's fields to JSON and back, for the form's switch between the two. Nothing is saved."""

from contextlib import suppress
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, JsonResponse, QueryDict
from django.utils.datastructures import MultiValueDict
from django.views.decorators.http import require_POST

from bots.admin.forms import BotForm, bot_form
from bots.configuration.json_text import parse_settings
from bots.configuration.preview import as_json
from bots.models import Bot, Strategy
from bots.strategies.schema import setting_errors
from core.http import is_row_number


@require_POST
def convert_settings(request: HttpRequest) -> JsonResponse:
    """Return the other half of the form, or why it can't be filled: ``{json, note}``, ``{fields}`` or ``{refused}``.

    The form is posted unchanged, its switch in the new position.
    """
    strategy_pk = request.POST.get("strategy", "")
    strategy = Strategy.objects.filter(pk=strategy_pk).first() if is_row_number(strategy_pk) else None
    if strategy is None:
        return JsonResponse({"refused": "Choose a strategy first."})
    form = bot_form([strategy], ())(instance=Bot(strategy=strategy))
    convert = _to_json if "settings_as_json" in request.POST else _to_fields
    try:
        return JsonResponse(convert(form, strategy, request.POST))
    except ValidationError as error:
        return JsonResponse({"refused": " ".join(error.messages)})


def _to_json(form: BotForm, strategy: Strategy, typed: QueryDict) -> dict[str, str]:
    cleaned: dict[str, Any] = {"settings_as_json": False}
    left_out = []
    for name in form.settings_of[strategy.pk]:
        field = form.fields[name]
        value = field.widget.value_from_datadict(typed, MultiValueDict(), name)
        try:
            cleaned[name] = field.clean(value)
        except ValidationError:
            if value not in field.empty_values:
                left_out.append(str(field.label))
    with suppress(ValidationError):
        # What has no field is kept from the JSON as it was entered.
        form.instance.settings = parse_settings(typed.get("settings_json", ""))
    note = f"Left out because it is not valid: {', '.join(left_out)}." if left_out else ""
    return {"json": as_json(form.entered_settings(strategy, cleaned)), "note": note}


def _to_fields(form: BotForm, strategy: Strategy, typed: QueryDict) -> dict[str, dict[str, Any]]:
    entered = parse_settings(typed.get("settings_json", ""))
    for name, message in setting_errors(strategy.settings_schema, entered).items():
        if form.field_of(strategy, name) is None:
            raise ValidationError(message)
    fields = form.settings_of[strategy.pk]
    described = {setting.path[0] for setting in fields.values()}
    for name, value in entered.items():
        if name not in described and value != strategy.defaults.get(name):
            raise ValidationError(f"“{name}” has no field of its own. Enter it as JSON.")
    settings = strategy.defaults | entered
    values = {name: setting.value_in(settings) for name, setting in fields.items()}
    return {"fields": {name: _shown(form.fields[name].prepare_value(value)) for name, value in values.items()}}


def _shown(value: Any) -> str | bool:
    """Return the value as a form field contains it."""
    return value if isinstance(value, bool) else "" if value is None else str(value)
