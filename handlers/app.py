"""What follows when WeCom switches our app off or on."""

from people import alarms
from storage.work import Work
from wecom.events import AppResumed, AppSuspended


def raise_suspended(event: AppSuspended, _: None, work: Work) -> None:
    """Nothing works any more until an admin acts: say so loudly."""
    alarms.raise_alarm(work, "app_suspended", "企业微信因长期未使用停用了本应用：管理后台 → 应用管理 → 本应用 → 启用")


def clear_suspended(event: AppResumed, _: None, work: Work) -> None:
    """The app works again."""
    alarms.clear(work, "app_suspended")
