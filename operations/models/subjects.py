"""Which rows about the subjects of operations a user sees: those whose subject the user sees."""

from typing import Any, TypeVar

from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models import F, Q

from core.visibility import AnyUser
from operations import kinds

Rows = TypeVar("Rows", bound=models.QuerySet[Any])


def only_visible(rows: Rows, user: AnyUser) -> Rows:
    """Return the rows, with ``subject_type`` and ``subject_id``, whose subject the user may see; each subject's manager
    knows which these are.
    """
    visible, all_of = Q(pk__in=[]), []
    for model in kinds.subject_models():
        subjects = model._default_manager.visible_to(user)  # type: ignore[attr-defined]
        subject_type = ContentType.objects.get_for_model(model)
        if subjects.query.has_filters():
            visible |= Q(subject_type=subject_type, subject_id__in=subjects.values("pk"))
        else:
            # Who sees all subjects sees also what was done to those that are deleted by now.
            all_of.append(subject_type.pk)
    if not all_of:
        return rows.filter(visible)
    # Nearly every row is of these types. The sum keeps the database from looking for them by the index of subjects
    # first, and lets it use the index of what else is asked for.
    return rows.alias(type_number=F("subject_type") + 0).filter(visible | Q(type_number__in=all_of))
