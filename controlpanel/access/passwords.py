"""Forms that set a password: what is wrong with it is said at the password, not at its repetition."""

from typing import Any

from django import forms
from django.contrib.auth.forms import SetPasswordForm
from django.http import HttpRequest
from unfold.forms import AdminOwnPasswordChangeForm, AdminPasswordChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from controlpanel.access.brake import count_wrong, must_wait

#: What a request has in which a user entered the right password, or a new one.
PROVEN = "proven"
#: Characters of a password at most (ASVS 2.1.2).
LONGEST = 128


class MaximumLengthValidator:
    def validate(self, password: str, user: Any = None) -> None:
        if len(password) > LONGEST:
            raise forms.ValidationError(f"This password is too long. It can have {LONGEST} characters at most.")

    def get_help_text(self) -> str:
        return f"Your password can have {LONGEST} characters at most."


class PasswordErrorsMixin:
    """For Django's forms with two password fields: its own ones report every error at the second one."""

    def validate_password_for_user(self, user: Any, *args: Any, **kwargs: Any) -> None:
        name, *_ = (*args, kwargs.get("password_field_name", "password2"))
        super().validate_password_for_user(user, password_field_name=name.replace("2", "1"))  # type: ignore[misc]


class NewUserPasswordForm(PasswordErrorsMixin, UserCreationForm):
    """A new user whose password somebody else enters."""


class UserPasswordForm(PasswordErrorsMixin, AdminPasswordChangeForm):
    """Another user's password."""


class OwnPasswordForm(PasswordErrorsMixin, AdminOwnPasswordChangeForm):
    """A user's own password, after the old one: who found a session open can try a few."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    def clean_old_password(self) -> str:
        if must_wait(self.request):
            raise forms.ValidationError(self.error_messages["password_incorrect"])
        try:
            return super().clean_old_password()
        except forms.ValidationError:
            count_wrong(self.request, self.user)
            raise

    def save(self, *args: Any, **kwargs: Any) -> Any:
        setattr(self.request, PROVEN, True)
        return super().save(*args, **kwargs)


class WelcomeForm(PasswordErrorsMixin, SetPasswordForm):
    """The name and the password of an invited user."""

    first_name = forms.CharField(
        max_length=150,
        label="First name",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "given-name", "autofocus": True}),
    )
    last_name = forms.CharField(
        max_length=150,
        required=False,
        label="Last name",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "family-name"}),
    )
    field_order = ("first_name", "last_name", "new_password1", "new_password2")

    def __init__(self, user: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        for name, label in (("new_password1", "Password"), ("new_password2", "Password again")):
            self.fields[name].label = label
            self.fields[name].widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
        self.fields["new_password2"].help_text = ""

    def clean(self) -> dict[str, Any]:
        # A password must not be like the user's name either, which is entered here.
        for name in ("first_name", "last_name"):
            setattr(self.user, name, self.cleaned_data.get(name, ""))
        return super().clean() or self.cleaned_data
