"""What runs on a server, for the server page, whose app does not depend on bots."""

from typing import Any

from django import template

from accounts.models import Server
from bots.models import Deployment
from bots.monitoring.running import running_on
from core.visibility import sees_every_client

register = template.Library()


@register.simple_tag(takes_context=True)
def running_instances(context: dict[str, Any], server: Server) -> dict[str, Any]:
    """Return those that the user of the page may see, and how many others. The name of an unmanaged instance may
    contain any client's name.
    """
    user, running = context["request"].user, running_on(server)
    if sees_every_client(user):
        # A duplicate of a bot can not be acknowledged.
        noted = {
            instance.name: instance
            for instance in server.unmanaged_instances.filter(duplicate_of=None).select_related("known_by")
        }
        unmanaged = {name: noted.get(name) for name in running.unmanaged}
        return {"own": running.own, "unmanaged": unmanaged, "others": 0, "more": running.more}
    visible = set(Deployment.objects.visible_to(user).filter(pk__in=[d.pk for d in running.own]))
    own = [deployment for deployment in running.own if deployment in visible]
    others = len(running.own) - len(own) + len(running.unmanaged)
    return {"own": own, "unmanaged": {}, "others": others, "more": running.more}
