"""Names are one line each: a line break in one would begin a line of a message that could be taken for the panel's."""

import pytest
from django.core.exceptions import ValidationError

from accounts.models import Client, Server
from bots.models import Bot


@pytest.mark.parametrize("model", [Client, Server, Bot], ids=lambda model: model.__name__)
@pytest.mark.parametrize("text", ["Acme\nPay here", "Acme\r", "Acme\u2028Pay here", "Acme\x1b[2K", "A\x85", "\0A"])
def test_a_name_of_several_lines_or_with_control_characters_is_refused(model, text):
    with pytest.raises(ValidationError) as refused:
        model(name=text).clean_fields()
    assert refused.value.message_dict["name"][-1].startswith(("Enter one line", "Null characters"))


@pytest.mark.parametrize("model", [Client, Server, Bot], ids=lambda model: model.__name__)
@pytest.mark.parametrize("text", ["Zoë & Söhne", "机器人 1", "A\u00a0B", "👨‍👩‍👧 Family", "مكتب", "a\tb"])
def test_letters_of_any_language_are_taken(model, text):
    with pytest.raises(ValidationError) as refused:
        model(name=text).clean_fields()
    assert "name" not in refused.value.message_dict
