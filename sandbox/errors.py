"""Every refusal the simulated API knows, and how WeCom words it.

An endpoint refuses by raising `Refusal(errcode)`. The message around the words carries a random hint, as WeCom's
does, so that nobody can match on it.
"""

from collections.abc import Mapping

BUSY = -1

MEANINGS: Mapping[int, str] = {
    -1: "system busy",
    40001: "invalid credential",
    40003: "invalid userid",
    40004: "invalid media type",
    40005: "invalid file type",
    40006: "invalid file size",
    40007: "invalid media_id",
    40008: "invalid message type",
    40009: "invalid image size",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40029: "invalid oauth_code",
    40031: "invalid userid list",
    40035: "invalid parameter",
    40050: "invalid chatid",
    40056: "invalid agentid",
    40058: "invalid Request Parameter",
    40063: "some parameters are empty",
    40068: "invalid tagid",
    40071: "tag name already existed",
    40072: "invalid tag name length",
    40078: "invalid auth code",
    40093: "invalid jsapi signature",
    40094: "invalid url",
    40096: "invalid external userid",
    40097: "user not resigned",
    40098: "user not real-name verified",
    40099: "takeover user's customer limit exceeded",
    40100: "customer is being transferred",
    40126: "corp tag count limit",
    40128: "customer transferred too often",
    40129: "customer is being transferred by the corp",
    40130: "handover equals takeover",
    40131: "handover user is not the follow user",
    41001: "access_token missing",
    41002: "corpid missing",
    41004: "corpsecret missing",
    41006: "media_id missing",
    41008: "missing code",
    41009: "userid missing",
    41011: "missing agentid",
    41018: "missing tag name",
    41035: "missing external userid",
    41037: "missing contact way type",
    41038: "missing contact way scene",
    41039: "invalid contact way type",
    41040: "invalid contact way scene",
    41041: "contact way user over limit",
    41042: "invalid contact way style",
    41043: "missing contact way config_id",
    41044: "invalid contact way config_id",
    41045: "contact way count limit",
    41046: "missing mass message id",
    41047: "invalid mass message id",
    41048: "no customer to send",
    41049: "missing welcome code",
    41050: "invalid welcome code",
    41051: "the customer and the staff have started chatting",
    41054: "the user is not activated",
    41063: "mass message is being dispatched",
    41064: "too many attachments",
    41065: "invalid attachment type",
    41093: "mass message has been cancelled",
    41094: "mass message reminder limit",
    41096: "welcome message is being sent",
    42001: "access_token expired",
    42003: "oauth_code expired",
    42012: "invalid jsapi ticket: not the ticket of the app",
    42014: "invalid task_id",
    42022: "oauth_code has been used",
    44001: "empty media data",
    44004: "empty content",
    45001: "media file size over limit",
    45002: "content size over limit",
    45008: "article count over limit",
    45009: "api freq out of limit",
    45033: "api concurrent out of limit",
    48002: "api forbidden",
    48007: "api unauthorized: the kf account is not this app's to manage",
    48006: "api unauthorized: the app has been inactive",
    50001: "redirect_url unauthorized",
    50100: "invalid cursor",
    60003: "department not found",
    60011: "no privilege to access/modify contact/party/agent",
    60020: "not allow to access from your ip",
    60111: "userid not found",
    60123: "invalid party id",
    60140: "response code invalid or expired",
    81011: "no permission to edit the tag",
    81013: "user & party & tag all invalid",
    81017: "request count over limit",
    82001: "user & party & tag all empty",
    82002: "too many parties",
    82003: "too many tags",
    84014: "user_ticket expired",
    84015: "user_ticket invalid",
    84061: "not external contact",
    84074: "no permission: the user has no customer contact right",
    90500: "the owner of the group has not resigned",
    90501: "not an external group chat",
    90502: "the owner of the group has resigned",
    90503: "too many groups for this owner today",
    95000: "invalid open_kfid",
    95001: "too many kf messages since the customer's last one",
    95002: "the customer has not written in 48 hours",
    95004: "open_kfid not found",
    95005: "kf account count limit",
    95006: "invalid kf account name",
    95007: "invalid msg token",
    95008: "too many menu items",
    95009: "invalid menu item type",
    95014: "the user is not a servicer",
    95016: "this state transition is not allowed",
    95018: "the service state does not allow sending",
    95019: "the servicer has stopped receiving",
    301002: "not allow operate another agent with this accesstoken",
}


class Refusal(Exception):
    """The API understood and says no."""

    def __init__(self, errcode: int, remark: str = "") -> None:
        super().__init__(f"{errcode} {MEANINGS.get(errcode, 'refused')} {remark}".rstrip())
        self.errcode = errcode
        self.remark = remark


def wording(errcode: int, hint: str, ip: str, remark: str = "") -> str:
    """The errmsg of a refusal: free text that is never the same twice."""
    said = MEANINGS.get(errcode, "refused")
    note = f", {remark}" if remark else ""
    return f"{said}{note}, hint: [{hint}], from ip: {ip}, more info at https://open.work.weixin.qq.com/devtool/query?e={errcode}"
