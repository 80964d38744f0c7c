"""Settings: the example loads, and every mistake is one line that names it."""

import tomllib
from pathlib import Path

import pytest

from bot.settings import SANDBOX_CORP, SettingsError, load
from sandbox.state import CORP_ID

ROOT = Path(__file__).parents[2]
GOOD = """
[wecom]
corp_id = "ww0000000000000000"
agent_id = 1000002
secret = "s3cret"
token = "Token1"
encoding_aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
[web]
secret_key = "0123456789012345678901234567890123456789"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_example_explains_and_loads_every_setting() -> None:
    example = ROOT / "config.example.toml"
    settings = load(example)
    assert settings.wecom.agent_id == 1000002
    given = tomllib.loads(example.read_text(encoding="utf-8"))
    for name, field in type(settings).model_fields.items():
        section = getattr(settings, name)
        if hasattr(type(section), "model_fields"):
            keys = set(type(section).model_fields) - {"contact", "kf"}
            assert keys == set(given[name]), name
        else:
            assert name in given, field


def test_the_sandboxes_corp_is_called_as_the_sandbox_says() -> None:
    assert SANDBOX_CORP == CORP_ID


def test_what_is_left_out_has_the_default_the_example_shows(tmp_path: Path) -> None:
    small, example = load(write(tmp_path, GOOD)), load(ROOT / "config.example.toml")
    assert (small.storage, small.redis, small.contact, small.points) == (
        example.storage,
        example.redis,
        example.contact,
        example.points,
    )


@pytest.mark.parametrize(
    ("corp", "api_base", "page"),
    [
        (SANDBOX_CORP, "http://127.0.0.1:8001/cgi-bin/", "http://127.0.0.1:8001/"),
        (SANDBOX_CORP, "http://localhost:8001/cgi-bin", "http://localhost:8001/"),
        (SANDBOX_CORP, "http://sandbox.example/cgi-bin/", ""),
        ("ww0000000000000000", "http://127.0.0.1:8001/cgi-bin/", ""),
        ("ww0000000000000000", "https://qyapi.weixin.qq.com/cgi-bin/", ""),
    ],
)
def test_only_a_sandbox_on_this_machine_has_a_page_to_go_to(
    tmp_path: Path, corp: str, api_base: str, page: str
) -> None:
    text = GOOD.replace("ww0000000000000000", corp).replace("[web]", f'api_base = "{api_base}"\n[web]')
    assert load(write(tmp_path, text)).wecom.sandbox == page


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("agent_id", "agent_idd"), "[wecom] agent_idd is not a setting; did you mean agent_id?"),
        (("[web]", "[wbe]"), "wbe is not a setting; did you mean web?"),
        (('secret = "s3cret"', ""), "[wecom] secret is missing; see config.example.toml"),
        (("ABCDEFG", "ABCDEF"), "[wecom] encoding_aes_key: must be 43 letters and digits, as in WeCom"),
        (("Token1", "Tok en"), "[wecom] token: must be 1 to 32 letters and digits, as in WeCom"),
        (("agent_id = 1000002", 'agent_id = "x"'), "[wecom] agent_id: Input should be a valid integer"),
        (("[web]", '[storage]\nurl = "mysql://x"\n[web]'), "[storage] url: must begin with sqlite:/// or postgresql"),
        (("[web]", '[contact]\nquota = "often"\n[web]'), "[contact] quota: Input should be 'day_1', 'week_7'"),
        (("[web]", "[web]\nport = 99999"), "[web] port: Input should be less than or equal to 65535"),
        (("\n[wecom]", '\ntimezone = "Mars/Olympus"\n[wecom]'), "timezone: is not a time zone such as Asia/Shanghai"),
        (("[wecom]", "[wecom"), "is not TOML"),
    ],
)
def test_a_mistake_is_named_in_one_line(tmp_path: Path, change: tuple[str, str], line: str) -> None:
    path = write(tmp_path, GOOD.replace(*change, 1))
    with pytest.raises(SettingsError) as refused:
        load(path)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_no_file_says_what_to_copy(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"copy config\.example\.toml"):
        load(tmp_path / "none.toml")


def test_the_environment_overrides_one_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRM__WEB__PORT", "9123")
    monkeypatch.setenv("SCRM__WECOM__WATCH", '["welcome"]')
    settings = load(write(tmp_path, GOOD))
    assert settings.web.port == 9123
    assert settings.wecom.watch == ("welcome",)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("SCRM__WBE__PORT", "there is no section [wbe]; did you mean web?"),
        ("SCRM__WEB__PROT", "[web] prot is not a setting; did you mean port?"),
    ],
)
def test_a_misspelt_name_in_the_environment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, line: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError) as refused:
        load(write(tmp_path, GOOD))
    assert line in str(refused.value)


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from-a-file\n", encoding="utf-8")
    settings = load(write(tmp_path, GOOD.replace('secret = "s3cret"', f'secret_file = "{secret}"')))
    assert settings.wecom.secret.get_secret_value() == "from-a-file"


def test_a_secret_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace('secret = "s3cret"', 'secret_file = "/nowhere/secret"'))
    with pytest.raises(SettingsError, match="secret_file: cannot read /nowhere/secret"):
        load(path)


def test_settings_never_show_a_secret(tmp_path: Path) -> None:
    shown = repr(load(write(tmp_path, GOOD)))
    for secret in ("s3cret", "Token1", "abcdefghijklmnop", "01234567890"):
        assert secret not in shown
