"""Every table, each column in plain sight: one module per subject. The vocabulary is the glossary of the README.

Facts are added and kept; what is derived from them (a relation's state, its intervals) is written beside them and
can be rebuilt. Times are aware and in UTC; ``id`` columns grow.
"""

from storage.tables.base import Base
from storage.tables.channels import CalendarDay, Channel, ChannelSeat, Media, Welcome
from storage.tables.conversations import Answer, Conversation, GroupChat, GroupMember, KeptFile, KfAccount, RepDay
from storage.tables.earning import Campaign, PointsBoost, PointsCounter, PointsRules
from storage.tables.evidence import BlockedValue, Evidence, Review, Verdict
from storage.tables.house import ApiKey, Attempt, AuditRow, IdempotentAnswer, Setting, SignIn, SignInLink, User
from storage.tables.insight import LifecycleChange, Segment, SegmentMember
from storage.tables.journeys import Enrolment, Journey, JourneyInside, JourneyVersion, StepRun, WebhookCall
from storage.tables.liability import PointsForecast, PointsForecastScore
from storage.tables.materials import LinkOpen, Material, TrackedLink
from storage.tables.orders import OrderLine, OrderSource, Refund, ShopOrder
from storage.tables.organisation import Department, Member
from storage.tables.outreach import Broadcast, MassTask, RepCard, Touch
from storage.tables.outside import InboundDoor, InboundSeen, OldBalance, Webhook, WebhookMessage, WebhookWish
from storage.tables.own_pages import OwnPage, OwnVisit
from storage.tables.people import Identity, Interaction, Interval, Person, Relation, RelationFact, is_head
from storage.tables.points import (
    PointsAccount,
    PointsDay,
    PointsEntry,
    PointsHold,
    PointsLot,
    PointsLotNow,
    PointsNotice,
    PointsRenewal,
    PointsSeal,
    PointsSealed,
    PointsTxn,
    has_died,
)
from storage.tables.programme import Approval, ApprovalLine, ApprovalWord, TierChange
from storage.tables.rewards import Gift, GroupBuy, GroupSeat, Redemption, Reward, RewardCode, Settlement
from storage.tables.road import Alarm, Gate, InboxRow, JobRun, Lease, OutboxRow, Pace, Progress, Sealed
from storage.tables.tags import PersonalTag, PersonTag, RelationTag, RuleHit, Tag, TagGround, TagRule, TagRuleVersion
from storage.tables.tasks import BulkJob, BulkRow, Erasure, Handover, HandoverRow, SyncRun, Task, Unassigned

__all__ = [
    "Alarm",
    "Answer",
    "ApiKey",
    "Approval",
    "ApprovalLine",
    "ApprovalWord",
    "Attempt",
    "AuditRow",
    "Base",
    "BlockedValue",
    "Broadcast",
    "BulkJob",
    "BulkRow",
    "CalendarDay",
    "Campaign",
    "Channel",
    "ChannelSeat",
    "Conversation",
    "Department",
    "Enrolment",
    "Erasure",
    "Evidence",
    "Gate",
    "Gift",
    "GroupBuy",
    "GroupChat",
    "GroupMember",
    "GroupSeat",
    "Handover",
    "HandoverRow",
    "IdempotentAnswer",
    "Identity",
    "InboundDoor",
    "InboundSeen",
    "InboxRow",
    "Interaction",
    "Interval",
    "JobRun",
    "Journey",
    "JourneyInside",
    "JourneyVersion",
    "KeptFile",
    "KfAccount",
    "Lease",
    "LifecycleChange",
    "LinkOpen",
    "MassTask",
    "Material",
    "Media",
    "Member",
    "OldBalance",
    "OrderLine",
    "OrderSource",
    "OutboxRow",
    "OwnPage",
    "OwnVisit",
    "Pace",
    "Person",
    "PersonTag",
    "PersonalTag",
    "PointsAccount",
    "PointsBoost",
    "PointsCounter",
    "PointsDay",
    "PointsEntry",
    "PointsForecast",
    "PointsForecastScore",
    "PointsHold",
    "PointsLot",
    "PointsLotNow",
    "PointsNotice",
    "PointsRenewal",
    "PointsRules",
    "PointsSeal",
    "PointsSealed",
    "PointsTxn",
    "Progress",
    "Redemption",
    "Refund",
    "Relation",
    "RelationFact",
    "RelationTag",
    "RepCard",
    "RepDay",
    "Review",
    "Reward",
    "RewardCode",
    "RuleHit",
    "Sealed",
    "Segment",
    "SegmentMember",
    "Setting",
    "Settlement",
    "ShopOrder",
    "SignIn",
    "SignInLink",
    "StepRun",
    "SyncRun",
    "Tag",
    "TagGround",
    "TagRule",
    "TagRuleVersion",
    "Task",
    "TierChange",
    "Touch",
    "TrackedLink",
    "Unassigned",
    "User",
    "Verdict",
    "Webhook",
    "WebhookCall",
    "WebhookMessage",
    "WebhookWish",
    "Welcome",
    "has_died",
    "is_head",
]
