"""Form widgets for what is written rather than chosen."""

from typing import Any

from unfold.widgets import UnfoldAdminTextareaWidget

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
