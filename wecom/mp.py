"""Who a customer is, by WeChat itself: sign-in over the shop's 公众号 (snsapi_userinfo, asked for by a tap).

Source: WeChat's own page on 网页授权 (authorize, sns/oauth2/access_token, sns/userinfo). The unionid comes only where
the 公众号 is bound to the same open-platform account as WeCom; else there is the openid, which is this 公众号's own.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests

from wecom.errors import Refused, TryLater

TIMEOUT = (3.05, 8.0)
BUSY = frozenset({-1, 45009, 45011})
"""Codes after which the same may be asked again."""
SNAPSHOT = -2
"""Our own: WeChat showed the page to somebody who had not signed in, under an identity that is nobody's."""


@dataclass(frozen=True)
class WeChatUser:
    """Who WeChat says is looking."""

    openid: str
    unionid: str
    """Empty where WeChat does not tell it."""


@dataclass(frozen=True)
class Mp:
    """One 公众号. Without an ``app_id`` nothing is offered."""

    app_id: str
    secret: str = field(repr=False)
    api_base: str
    oauth_base: str
    http: requests.Session | None = field(default=None, repr=False)

    def sign_in_address(self, back: str, state: str) -> str:
        """Where WeChat asks the customer and comes back to ``back`` with a code. WeChat wants this order."""
        asked = {
            "appid": self.app_id,
            "redirect_uri": back,
            "response_type": "code",
            "scope": "snsapi_userinfo",
            "state": state,
        }
        return f"{self.oauth_base}/connect/oauth2/authorize?{urlencode(asked)}#wechat_redirect"

    def user(self, code: str) -> WeChatUser:
        """Who a code stands for; it works once. Raises ``Refused`` (used, too old, nobody's) and ``TryLater``."""
        asked = {"appid": self.app_id, "secret": self.secret, "code": code, "grant_type": "authorization_code"}
        told = self._ask("sns/oauth2/access_token", asked)
        if told.get("is_snapshotuser") == 1:
            raise Refused("sns/oauth2/access_token", SNAPSHOT)
        openid, unionid = str(told.get("openid") or ""), str(told.get("unionid") or "")
        if not openid:
            raise TryLater("sns/oauth2/access_token: no openid in the answer")
        if not unionid:
            more = {"access_token": str(told.get("access_token") or ""), "openid": openid, "lang": "zh_CN"}
            unionid = str(self._ask("sns/userinfo", more).get("unionid") or "")
        return WeChatUser(openid, unionid)

    def _ask(self, path: str, asked: dict[str, str]) -> dict[str, Any]:
        """An answer of WeChat. No error carries an address: the secret stands in it."""
        try:
            answer = (self.http or requests).get(f"{self.api_base}/{path}", params=asked, timeout=TIMEOUT)
            told = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise TryLater(f"{path}: {type(error).__name__}") from None
        if not isinstance(told, dict):
            raise TryLater(f"{path}: no object")
        errcode = told.get("errcode") or 0
        if errcode in BUSY:
            raise TryLater(f"{path}: {errcode}")
        if errcode:
            raise Refused(path, int(errcode))
        return told
