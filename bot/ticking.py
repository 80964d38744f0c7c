"""``scrm tick``: run what is due at a moment, then stop. Looking ahead is only for the sandbox."""

from datetime import UTC, datetime
from ipaddress import ip_address
from urllib.parse import urlsplit

from bot import worker
from bot.assembly import Parts, assemble
from bot.settings import Settings
from storage.inbox import EVENTS


class NotInTheSandbox(Exception):
    """A time in the future was given, but we are connected to the real WeCom."""


def tick(settings: Settings, at: datetime) -> list[tuple[str, str]]:
    """Run once every job due at ``at``, then handle what it caused; (job, outcome) each. Raises ``NotInTheSandbox``."""
    if at > datetime.now(UTC) and not in_the_sandbox(settings):
        raise NotInTheSandbox("a time in the future is only for the sandbox: [wecom] api_base is not this machine")
    parts = assemble(settings, clock=lambda: at.astimezone(UTC))
    parts.dispatcher().rescue()
    parts.sender().rescue()
    ran = parts.loop(lambda: None, lambda: False).run_due()
    work_off(parts)
    return ran


def in_the_sandbox(settings: Settings) -> bool:
    """Whether our WeCom is a simulator on this machine."""
    host = urlsplit(settings.wecom.api_base).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def work_off(parts: Parts) -> int:
    """Handle every event and make every call that is due, one after the other; how many there were."""
    dispatcher, sender = parts.dispatcher(), parts.sender()
    done = 0
    while True:
        before = done
        greeted = dispatcher.greet(5)
        for claimed in greeted.calls:
            sender.deliver_one(claimed)
        done += greeted.arrivals + len(greeted.calls)
        for taken in dispatcher.claim(EVENTS, 20):
            dispatcher.handle_one(taken)
            done += 1
        for lane in worker.EVERYTHING.outboxes:
            for claimed in sender.claim(lane, 5):
                sender.deliver_one(claimed)
                done += 1
        if done == before:
            return done
