"""Which steps follow which event, in order. Read this file to know what the bot does.

Arrivals with a welcome code are greeted first, in the express lane, before anything is looked up (``GREET``); then
``look`` reads from WeCom without a transaction, and ``steps`` run in one transaction that also marks the event done. An
event without a row is kept and shown.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from handlers import app, contacts, corp_tags, groups, joining, kf, opened, organisation, rep_bot
from handlers.books import Books
from storage.inbox import EVENTS, WELCOME
from storage.outbox import Claimed
from storage.work import Work
from wecom.events import (
    AppResumed,
    AppSuspended,
    ArchiveAgreed,
    CardPressed,
    ContactAdded,
    ContactDeletedByCustomer,
    ContactDeletedByRep,
    ContactEdited,
    ContactHalfAdded,
    CorpTagsChanged,
    DepartmentChanged,
    Event,
    GroupChanged,
    GroupDismissed,
    GroupOpened,
    KfAccountsChanged,
    KfPullDue,
    KfWaiting,
    LinkOpened,
    MemberChanged,
    MemberLeft,
    MemberSent,
    MemberWrote,
    TransferFailed,
)
from wecom.gateway import Gateway

Look = Callable[[Any, Gateway], Any]
Study = Callable[[Any, Gateway, Books], Any]
Step = Callable[[Any, Any, Work], None]
Greet = Callable[[Sequence[tuple[Any, tuple[str, ...], Work]], Work, int], list[Claimed]]


@dataclass(frozen=True)
class Route:
    """What to do about one kind of event. When ``look`` cannot be had, the steps get None and the rest of the truth."""

    steps: tuple[Step, ...]
    look: Look | None = None
    study: Study | None = None
    """As ``look``, for what also needs our own books: how far we had read, whom we know."""
    greeted: bool = False
    """Whether it is greeted when it brings a welcome code."""


GREET: Greet = contacts.plan_welcomes
ARRIVAL = Route(
    greeted=True,
    look=contacts.fetch_profile,
    steps=(
        contacts.remember_arrival,
        contacts.take_over_from_colleague,
        contacts.take_over_tags,
        contacts.tag_by_channel,
        contacts.tag_by_rules,
        contacts.tell_arrival,
        contacts.tell_earlier_groups,
        contacts.tell_welcome,
        contacts.note_missing_welcome,
        contacts.keep_code_leading,
        joining.reward,
    ),
)

PULL = Route(study=kf.pull, steps=(kf.keep_page,))
"""It stays open as long as WeCom has more: a page each time."""

ROUTES: Mapping[type[Event], Route] = MappingProxyType(
    {
        ContactAdded: ARRIVAL,
        ContactHalfAdded: ARRIVAL,
        ContactEdited: Route(look=contacts.fetch_profile, steps=(contacts.update_profile, contacts.take_over_tags)),
        ContactDeletedByRep: Route(steps=(contacts.mark_deleted_by_rep,)),
        ContactDeletedByCustomer: Route(steps=(contacts.mark_deleted_by_customer,)),
        TransferFailed: Route(steps=(contacts.tell_transfer_failed,)),
        ArchiveAgreed: Route(steps=(contacts.tell_archive_agreed,)),
        CorpTagsChanged: Route(look=corp_tags.fetch_corp_tags, steps=(corp_tags.mirror_corp_tags,)),
        GroupOpened: Route(look=groups.fetch_group, steps=(groups.remember_group,)),
        GroupChanged: Route(look=groups.fetch_group, steps=(groups.remember_group,)),
        GroupDismissed: Route(steps=(groups.mark_as_dismissed,)),
        MemberChanged: Route(
            look=organisation.fetch_member, steps=(organisation.remember_member, organisation.lead_codes_anew)
        ),
        MemberLeft: Route(steps=(organisation.mark_as_left,)),
        DepartmentChanged: Route(look=organisation.fetch_departments, steps=(organisation.remember_departments,)),
        KfWaiting: PULL,
        KfPullDue: PULL,
        KfAccountsChanged: Route(look=kf.fetch_accounts, steps=(kf.remember_accounts,)),
        LinkOpened: Route(steps=(opened.remember_opening,)),
        MemberWrote: Route(look=rep_bot.prepare, steps=(rep_bot.answer,)),
        MemberSent: Route(steps=(rep_bot.answer_other,)),
        CardPressed: Route(steps=(rep_bot.go_on,)),
        AppSuspended: Route(steps=(app.raise_suspended,)),
        AppResumed: Route(steps=(app.clear_suspended,)),
    }
)


def lane_of(event: Event) -> str:
    """Arrivals that can be greeted take the express lane first."""
    route = ROUTES.get(type(event))
    greeted = route is not None and route.greeted and getattr(event, "welcome_code", None)
    return WELCOME if greeted else EVENTS
