"""What can be turned: how much goes wrong (`Faults`), how much is allowed (`Limits`), what members do (`Habits`).

`Faults()` is a WeCom in which nothing goes wrong. `Faults.realistic()` is the one described in the notes on a faithful
simulator. Names of endpoints are written without the leading `/cgi-bin/`, as in `externalcontact/get`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

MINUTE, HOUR, DAY = 60, 3600, 86_400
SHANGHAI = 8 * HOUR
"""So far ahead of UTC the days of WeCom begin."""


@dataclass(slots=True)
class Faults:
    """Probabilities from 0 to 1, and seconds."""

    busy: float = 0.0
    """Answer -1 without doing anything."""
    slow: float = 0.0
    slow_seconds: float = 2.0
    reset_after_effect: float = 0.0
    """Do what was asked, then break the line: the caller cannot know."""
    not_json: float = 0.0
    """A gateway's HTML page instead of an answer, nothing done."""
    hang: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Endpoint to (probability, seconds) of an answer that comes that late. What was asked is done."""
    latency: Mapping[str, float] = field(default_factory=dict)
    """Endpoint to the seconds every call takes; the name "*" is for all others."""
    unknown_fields: float = 0.0
    """Fields nobody announced, in answers and events."""
    short_page: float = 0.0
    empty_page: float = 0.0
    """A page with nothing on it and yet a next cursor."""
    duplicate: float = 0.0
    """A callback sent again although it was received."""
    reorder: float = 0.0
    reorder_seconds: float = 3.0
    lose: float = 0.0
    """A callback that is never sent."""
    odd_xml: float = 0.0
    """Extra elements, empty elements, no CDATA."""
    no_member_list: float = 0.0
    """A group event without its MemChangeList."""
    kf_send_fail: float = 0.0
    """A 微信客服 message that is accepted, and of which a msg_send_fail tells later."""

    @classmethod
    def realistic(cls) -> "Faults":
        """As much goes wrong as the notes on a faithful simulator say."""
        return cls(
            busy=0.005,
            slow=0.005,
            reset_after_effect=0.005,
            unknown_fields=0.05,
            short_page=0.05,
            empty_page=0.01,
            duplicate=0.01,
            reorder=0.02,
            lose=0.001,
            odd_xml=0.01,
            no_member_list=0.2,
            kf_send_fail=0.005,
        )


OWN_WINDOWS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "get_jsapi_ticket": ((HOUR, 400),),
    "ticket/get": ((HOUR, 100),),
    "media/uploadimg": ((DAY, 1000),),
    "message/send": (),
}
"""Endpoints with windows of their own, as (seconds, calls); no window means not counted."""

QuotaMode = Literal["day_1", "week_7", "month_days"]

PULL_WITHOUT_TOKEN = "kf/sync_msg without token"  # noqa: S105  no secret: a name to count under
"""The name under which pulls of messages without a good token are counted."""


@dataclass(slots=True)
class Limits:
    """WeCom's own figures; `scaled` makes them smaller for a test."""

    per_minute: int = 10_000
    per_hour: int = 150_000
    own_windows: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=lambda: dict(OWN_WINDOWS))
    mark_tag_at_once: int = 5
    messages_per_member_minute: int = 30
    messages_per_member_hour: int = 1000
    message_person_times_per_account_day: int = 200
    token_seconds: float = 7200
    ticket_seconds: float = 7200
    welcome_seconds: float = 20
    welcome_being_sent_seconds: float = 1.0
    cursor_seconds: float = 600
    media_seconds: float = 3 * DAY
    oauth_code_seconds: float = 300
    user_ticket_seconds: float = 1800
    response_code_seconds: float = 72 * HOUR
    duplicate_check_seconds: float = 1800
    transfer_seconds: float = DAY
    transfers_per_90_days: int = 2
    customers_per_member: int = 50_000
    contact_ways: int = 500_000
    temp_ways_per_day: int = 100_000
    contact_way_members: int = 100
    corp_tags: int = 3000
    tags_per_relation: int = 3000
    group_lag_seconds: float = 2.0
    followers_per_page: int = 500
    group_transfers_per_day: int = 300
    statistics_ready_hour: int = 6
    """The hour of the day (in Shanghai) from which yesterday's statistics can be read."""
    kf_accounts: int = 5000
    kf_servicers: int = 2000
    kf_departments: int = 20
    kf_token_seconds: float = 600
    kf_pulls_without_token_per_minute: int = 20
    kf_history_seconds: float = 3 * DAY
    kf_merge_seconds: float = 0.0
    """So long a callback waits for more messages that may share it."""
    kf_window_seconds: float = 48 * HOUR
    kf_window_messages: int = 5
    kf_code_seconds: float = 48 * HOUR
    kf_quick_code_seconds: float = 20
    """The life of a welcome code, and of the code of an ending."""
    mass_quota: QuotaMode = "month_days"
    """How many mass messages a customer or a group may get, see `quota` (wecom.md §4.9)."""
    mass_quota_at_creation: bool = True
    """Whether those who have had their quota are in the fail_list already; WeCom does not say."""
    mass_dispatch_seconds: float = 5.0
    """So long after its making a task is still being handed out to the members: 41063."""
    mass_list_lag_seconds: float = 0.0
    """So long a new task is missing from get_groupmsg_list_v2."""
    mass_reminders_per_day: int = 3
    mass_customers: int = 10_000
    mass_groups: int = 2000

    def windows(self, path: str) -> tuple[tuple[int, int], ...]:
        """The (seconds, calls) windows of an endpoint."""
        if path == PULL_WITHOUT_TOKEN:
            return ((MINUTE, self.kf_pulls_without_token_per_minute),)
        own = self.own_windows.get(path)
        return ((MINUTE, self.per_minute), (HOUR, self.per_hour)) if own is None else own

    @classmethod
    def scaled(cls, factor: float) -> "Limits":
        """The call windows times a factor; everything else as it is."""
        return cls(per_minute=max(1, int(10_000 * factor)), per_hour=max(1, int(150_000 * factor)))


@dataclass(slots=True)
class Habits:
    """What members do by themselves; with `Habits()` nothing."""

    mass_confirm: float = 0.0
    """The probability that a member sends a mass message he was asked to send; a reminder lets him decide anew."""
    mass_soonest_seconds: float = 60.0
    mass_latest_seconds: float = 4.0 * HOUR
    """The range of time he takes for it, from when the task has reached him."""
