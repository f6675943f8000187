"""Which rows about an operation's subjects a user sees: those whose subject the user sees."""

from django.contrib.contenttypes.models import ContentType
from django.db.models import Q

from core.visibility import AnyUser
from operations import kinds


def about_visible(user: AnyUser) -> Q:
    """Return the condition on ``subject_type`` and ``subject_id``; each subject's manager knows who sees it."""
    visible = Q(pk__in=[])
    for model in kinds.subject_models():
        subjects = model._default_manager.visible_to(user)  # type: ignore[attr-defined]
        of_model = Q(subject_type=ContentType.objects.get_for_model(model))
        if subjects.query.has_filters():
            of_model &= Q(subject_id__in=subjects.values("pk"))
        # Who sees all subjects sees also what was done to those that are deleted by now.
        visible |= of_model
    return visible
