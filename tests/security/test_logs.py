"""S38: what a shop writes down while it works, and while it breaks, holds nobody's secrets and no forged lines."""

import logging

import pytest

from bot.logs import OneLine
from tests.shop import SECRET_KEY, Shop, event_xml

PHONE, REMARK, NAME = "13912345678", "只有我们知道的备注", "小雨\n2026-11-22 10:00:00 ERROR forged: line"


def test_a_shop_that_works_and_breaks_at_debug_writes_no_secret(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    app = shop.world.app(1000002)
    channel = shop.channel()
    arrival = shop.world.scan(channel.code, name=NAME, userid="lisi")
    shop.catch_up()
    shop.world.edit_remark("lisi", arrival.external_userid, remark=REMARK, mobiles=[PHONE])
    shop.catch_up()
    _break(shop, channel.code)
    token = shop.parts.gateway._app.token()
    written = caplog.text + "".join(OneLine().format(one) for one in caplog.records)
    codes = list(shop.world.welcome_codes)
    for hidden in (app.secret, app.token, app.encoding_aes_key, token, SECRET_KEY, PHONE, REMARK, "小雨", *codes):
        assert hidden not in written, hidden


def _break(shop: Shop, code: str) -> None:
    """Whatever can go wrong on the way does."""
    query, body = shop.seal("<xml><Event>x</Event></xml>")
    shop.client.post("/wecom/callback", query_string={**query, "msg_signature": "0" * 40}, data=body)
    shop.client.post("/wecom/callback", query_string={**query, "nonce": ""}, data=body)
    shop.world.kill_token()
    for errcode in (40014, 84061, -1, 45009):
        shop.world.fail_next("externalcontact/get", errcode)
        shop.world.scan(code, name=NAME, userid="lisi")
        shop.catch_up()
        shop.advance(seconds=70)
        shop.catch_up()
    shop.world.faults.not_json = 0.5
    shop.world.faults.hang = {"externalcontact/send_welcome_msg": (1.0, 30.0)}
    shop.world.scan(code, name=NAME, userid="lisi")
    for _ in range(5):
        shop.catch_up()
        shop.advance(seconds=6)
    shop.world.faults.not_json, shop.world.faults.hang = 0.0, {}
    fields = {"ChangeType": "add_external_contact", "UserID": "lisi", "ExternalUserID": "wm1\nERROR forged"}
    shop.post(event_xml(CreateTime="1", WelcomeCode="code\nof-nobody", **fields))
    shop.catch_up()


def test_a_nickname_with_a_line_break_cannot_forge_a_line() -> None:
    record = logging.LogRecord("scrm", logging.INFO, __file__, 1, "customer %s came", (NAME,), None)
    assert "\n" not in OneLine().format(record)
