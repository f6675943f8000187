"""Forms that set a password: what is wrong with it is said at the password, not at its repetition."""

from typing import Any

from django import forms
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.db import transaction
from django.http import HttpRequest
from unfold.forms import AdminOwnPasswordChangeForm, AdminPasswordChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from controlpanel.access.brake import count_wrong, must_wait
from controlpanel.access.sessions import hold

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


class PasswordHasher(PBKDF2PasswordHasher):
    """Django's, without what it does when its iterations were raised by an upgrade: a sign-in would store the password
    that it was compared with once more, over a new one that was set meanwhile, and end the user's sessions.
    """

    def must_update(self, encoded: str) -> bool:
        return False

    def verify(self, password: str, encoded: str) -> bool:
        is_right = super().verify(password, encoded)
        if not is_right:
            self.harden_runtime(password, encoded)  # as long as for a user who is not there
        return is_right


class PasswordErrorsMixin:
    """For Django's forms with two password fields: its own ones report every error at the second one."""

    def validate_password_for_user(self, user: Any, *args: Any, **kwargs: Any) -> None:
        name, *_ = (*args, kwargs.get("password_field_name", "password2"))
        super().validate_password_for_user(user, password_field_name=name.replace("2", "1"))  # type: ignore[misc]


class PasswordAloneMixin:
    """For Django's forms that set the password of a user who is there: what others do to that user meanwhile stays.

    ``save(commit=False)`` hashes it. That takes a moment, in which nobody should have to wait for a lock.
    """

    #: The columns that are saved.
    columns: tuple[str, ...] = ("password",)
    is_hashed = False

    def set_password_and_save(self, user: Any, *args: Any, commit: bool = True, **kwargs: Any) -> Any:
        if not self.is_hashed:
            super().set_password_and_save(user, *args, commit=False, **kwargs)  # type: ignore[misc]
            self.is_hashed = True
        if commit:
            with transaction.atomic():  # with its row of the trail, or not at all
                hold(user.pk)
                user.save(update_fields=self.columns)
        return user


class NewUserPasswordForm(PasswordErrorsMixin, UserCreationForm):
    """A new user whose password somebody else enters."""


class UserPasswordForm(PasswordAloneMixin, PasswordErrorsMixin, AdminPasswordChangeForm):
    """Another user's password."""


class OwnPasswordForm(PasswordAloneMixin, PasswordErrorsMixin, AdminOwnPasswordChangeForm):
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


class WelcomeForm(PasswordAloneMixin, PasswordErrorsMixin, SetPasswordForm):
    """The name and the password of an invited user."""

    columns = ("first_name", "last_name", "password")
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
