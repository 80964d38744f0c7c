"""Settings by which an instance takes the simulator for WeCom: the demo's, and a config.toml of one's own."""

import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from bot.settings import SANDBOX_CORP
from sandbox.world import AES_KEY, AGENT_ID, APP_SECRET, APP_TOKEN, MP_APP_ID, MP_SECRET


def sections(address: str) -> dict[str, dict[str, Any]]:
    """Settings by which an instance takes the simulator at this address for WeCom and WeChat."""
    return {
        "wecom": {
            "corp_id": SANDBOX_CORP,
            "agent_id": AGENT_ID,
            "secret": APP_SECRET,
            "token": APP_TOKEN,
            "encoding_aes_key": AES_KEY,
            "api_base": f"{address}/cgi-bin/",
            "oauth_base": address,
            "login_base": address,
        },
        "mp": {"app_id": MP_APP_ID, "secret": MP_SECRET, "api_base": address, "oauth_base": address},
    }


def as_toml(told: Mapping[str, Mapping[str, Any]]) -> str:
    """Settings as a config.toml holds them."""
    lines: list[str] = []
    for name, given in told.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(_plain(value))}" for key, value in given.items()), ""]
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def words(address: str, callback_url: str) -> str:
    """Where the simulator is, and a whole config.toml of an instance that uses it, with a key of its own."""
    there = urlsplit(callback_url)
    web = {
        "port": there.port or 8000,
        "base_url": f"{there.scheme}://{there.netloc}",
        "secret_key": secrets.token_urlsafe(48),
    }
    config = as_toml({**sections(address), "web": web})
    return (
        f"# WeCom sandbox on {address}, callbacks to {callback_url}\n"
        f"# An instance of your own uses it with all of this as its config.toml:\n\n{config}\n"
    )
