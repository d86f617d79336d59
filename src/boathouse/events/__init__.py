"""Events: written in the transaction of the change they tell of, delivered at least once and in order."""

from boathouse.events.addresses import check_address
from boathouse.events.channels import Channel, Chat, Mail, Message, Post, channel_of
from boathouse.events.notifications import Notice, Notifications
from boathouse.events.outbox import Event, Outbox, SetAside, list_set_aside
from boathouse.events.webhooks import Webhook, Webhooks

__all__ = [
    "Channel",
    "Chat",
    "Event",
    "Mail",
    "Message",
    "Notice",
    "Notifications",
    "Outbox",
    "Post",
    "SetAside",
    "Webhook",
    "Webhooks",
    "channel_of",
    "check_address",
    "list_set_aside",
]  # fmt: skip
