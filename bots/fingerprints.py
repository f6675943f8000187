"""Fingerprints of exchange keys after a change of ``SECRET_KEY``, which they are made with.

They are stored, so at first nothing appears as changed. But the same key entered or imported again would, and with it
the bots that run with it.
"""

from django.db import transaction

from accounts.models import ExchangeKey, PushedKey
from bots.models import Deployment
from core.encryption import Unreadable, fingerprint


def renew_fingerprints() -> int:
    """Make every key's fingerprint again, also where it says what a server or a bot has. Return how many changed.

    One key at a time. Repeated after an interruption, it goes on where it was.
    """
    renewed = 0
    for pk in ExchangeKey.objects.order_by("pk").values_list("pk", flat=True).iterator():
        with transaction.atomic():
            key = ExchangeKey.objects.select_for_update().filter(pk=pk).first()
            if key is None or isinstance(key.encrypted_values, Unreadable):
                continue
            old, new = key.fingerprint, fingerprint(key.read_values())
            if old == new:
                continue
            renewed += 1
            ExchangeKey.objects.filter(pk=pk).update(fingerprint=new)
            pushed = PushedKey.objects.filter(profile__client=key.client_id, connector=key.connector)
            pushed.filter(fingerprint=old).update(fingerprint=new)
            runs = Deployment.objects.filter(bot__client=key.client_id, connector=key.connector)
            runs.filter(key_fingerprint=old).update(key_fingerprint=new)
    return renewed
