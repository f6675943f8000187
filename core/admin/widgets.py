"""Form widgets that Django and Unfold have not."""

from collections.abc import Collection, Mapping
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget

from core.encryption import Unreadable

#: Browsers must not offer an operator's own passwords for a client's keys, nor remember them.
SECRET_ATTRS = {
    "autocomplete": "new-password",
    "spellcheck": "false",
    "data-1p-ignore": "",
    "data-lpignore": "true",
}


class CodeEditor(UnfoldAdminTextareaWidget):
    """A textarea that ``code_editor.js`` makes a code editor of: colors, line numbers, a file to read into it.

    Without JavaScript it stays a textarea.

    Args:
        language: ``python`` or ``json``.
        file_type: the ending of the files that may be read into it; none when empty.
    """

    template_name = "bots/code_editor.html"

    class Media:
        css = {"all": ["code_editor.css"]}
        js = ["codemirror/codemirror.js", "code_editor.js"]

    def __init__(self, language: str, file_type: str = "", attrs: dict[str, Any] | None = None) -> None:
        self.language, self.file_type = language, file_type
        super().__init__(attrs={"spellcheck": "false", "class": "font-mono", **(attrs or {})})
        #: Lines with what is wrong in each, to be marked in the editor.
        self.marks: tuple[tuple[int, str], ...] = ()

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        own = {"language": self.language, "file_type": self.file_type, "marks": self.marks}
        return context | {"widget": context["widget"] | own}


def describe_stored(secret: str | Unreadable) -> str:
    """Return the help text of a field that replaces a stored secret."""
    if isinstance(secret, Unreadable):
        return "The stored value can't be decrypted. Enter it again."
    return "Leave this empty to keep the stored value."


class SecretInput(UnfoldAdminPasswordWidget):
    """A secret that goes in and never comes out, with buttons to paste and to show it: see ``secrets.js``.

    Args:
        unbroken: it has no blanks inside, so one is a mistake of copying.
        label: what the buttons are for.
    """

    template_name = "core/secret_input.html"

    def __init__(self, label: str, *, unbroken: bool = False) -> None:
        super().__init__(attrs=SECRET_ATTRS | {"title": label} | ({"data-unbroken": ""} if unbroken else {}))


class ExchangeTiles(forms.RadioSelect):
    """The exchanges as tiles with their account type, and with a search where there are many: see ``tiles.js``.

    Args:
        notes: what to say of a connector on its tile.
        folded: the groups that are closed until somebody opens them.
        chooses_fields: the choice decides which fields the form has: see ``connector_fields.js``.
    """

    template_name = "core/exchange_tiles.html"
    #: From so many exchanges on they can be searched.
    LONG = 9

    def __init__(
        self, notes: Mapping[str, str] | None = None, *, folded: Collection[str] = (), chooses_fields: bool = False
    ) -> None:
        super().__init__()
        self.notes, self.folded, self.chooses_fields = notes or {}, folded, chooses_fields

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option: dict[str, Any] = super().create_option(name, value, *args, **kwargs)
        return option | {"note": self.notes.get(str(value), "")}

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        groups = context["widget"]["optgroups"]
        own = {
            "is_long": sum(len(options) for _, options, _ in groups) >= self.LONG,
            "folded": self.folded,
            "opened": {group for group, options, _ in groups if any(option["selected"] for option in options)},
            "chooses_fields": self.chooses_fields,
        }
        return context | {"widget": context["widget"] | own}
