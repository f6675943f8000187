"""Which rows about an operation's subjects a user sees: those whose subject the user sees."""

from django.contrib.contenttypes.models import ContentType
from django.db.models import Q

from core.visibility import AnyUser
from operations import kinds


def visible_subjects(user: AnyUser) -> tuple[Q, list[int]]:
    """Return the condition on ``subject_type`` and ``subject_id`` for the types of which the user sees some subjects,
    and the types of which the user sees all. Each subject's manager knows who sees it.
    """
    some, all_of = Q(pk__in=[]), []
    for model in kinds.subject_models():
        subjects = model._default_manager.visible_to(user)  # type: ignore[attr-defined]
        subject_type = ContentType.objects.get_for_model(model)
        if subjects.query.has_filters():
            some |= Q(subject_type=subject_type, subject_id__in=subjects.values("pk"))
        else:
            # Who sees all subjects sees also what was done to those that are deleted by now.
            all_of.append(subject_type.pk)
    return some, all_of


def about_visible(user: AnyUser) -> Q:
    """Return the condition on ``subject_type`` and ``subject_id`` for what the user sees."""
    some, all_of = visible_subjects(user)
    return some | Q(subject_type__in=all_of)
