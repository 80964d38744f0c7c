"""One telephone line to WeCom: a wechatpy client for one secret, made safe to rely on.

What wechatpy does and we do not want (measured on 1.8.18): no time-out for tokens, a fixed host for them, endless
retries on a bad token, one token fetch per thread, HTML taken for success, secrets in error texts. Here: one fetch for
all, one refresh and one replay, bounded time, everything below ``api_base``, and errors of our own tree only.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError
from wechatpy.enterprise import WeChatClient

from wecom import pictures
from wecom.errors import (
    STALE_TOKEN,
    TOO_OFTEN,
    Answered,
    Busy,
    Misconfigured,
    TooLarge,
    TryLater,
    Unclear,
    WeComError,
    error_for,
)
from wecom.pacing import Pacing

TIMEOUT = (3.05, 8.0)
TOKEN_MARGIN_SECONDS = 300
REFUSAL_BELIEVED_SECONDS = 5.0
SILENCE_BELIEVED_SECONDS = 2.0
DOWNLOAD_SECONDS = 20.0
"""A file must be there before the lease of its call runs out."""
LONGEST_REFUSAL = 4096
logging.getLogger("urllib3.connectionpool").setLevel(logging.WARNING)  # at DEBUG it writes tokens down
Answer = dict[str, Any]
Found = TypeVar("Found")


class Tokens(Protocol):
    """Where access tokens are shared between threads, processes and machines."""

    def get(self, name: str) -> str | None:
        """The living token of this name, if any."""

    def put(self, name: str, token: str, seconds: float) -> None:
        """Share a token that lives ``seconds`` more."""

    def one_at_a_time(self, name: str) -> AbstractContextManager[None]:
        """Hold this while fetching a new token, so that it is fetched once."""


class Line(WeChatClient):  # type: ignore[misc]  # wechatpy has no types
    """Calls WeCom with one secret. Every failure is a ``WeComError``; none carries a secret or an address."""

    def __init__(
        self,
        corp_id: str,
        secret: str,
        *,
        api_base: str,
        tokens: Tokens,
        pacing: Pacing,
        http: requests.Session | None = None,
    ) -> None:
        super().__init__(corp_id, secret, timeout=TIMEOUT, auto_retry=False)
        self.API_BASE_URL = api_base
        self._tokens = tokens
        self._pacing = pacing
        self._token_name = f"{corp_id}:{hashlib.sha256(secret.encode()).hexdigest()[:16]}"
        self._http = http or _session()
        self._refusal: tuple[WeComError | None, float] = (None, 0.0)

    def call(
        self,
        api: str,
        body: Answer | None = None,
        *,
        params: dict[str, Any] | None = None,
        files: dict[str, tuple[str, bytes, str]] | None = None,
        timeout: tuple[float, float] = TIMEOUT,
        counted_as: str = "",
    ) -> Answer:
        """Make one call, POST when there is a body or a file, and give WeCom's answer as it is.

        ``counted_as`` is the name under which it is paced where WeCom has a limit of its own for this kind of call.
        Raises ``TryLater`` (not carried out), ``Refused`` or ``Unclear`` (the line broke after asking). A dead token
        is fetched anew once, and the call made once more.
        """
        return self._with_token(counted_as or api, lambda token: self._ask(api, token, body, params, files, timeout))

    def download(self, api: str, params: dict[str, Any], most: int) -> bytes:
        """What WeCom keeps under these parameters, up to ``most`` bytes; no more than that is ever held.

        Raises ``TooLarge`` for more, ``TryLater`` (also when the line breaks: reading again does no harm), ``Refused``.
        """
        return self._with_token(api, lambda token: self._fetch(api, token, params, most))

    def _with_token(self, name: str, ask: Callable[[str], Found]) -> Found:
        token = self.token()
        for attempt in (1, 2):
            self._pacing.enter(name)
            try:
                return ask(token)
            except Answered as error:
                if error.errcode == TOO_OFTEN:
                    raise self._pacing.block(name) from None
                if error.errcode not in STALE_TOKEN or attempt == 2:
                    raise
                token = self._new_token(stale=token)
        raise AssertionError("unreachable")

    def _fetch(self, api: str, token: str, params: dict[str, Any], most: int) -> bytes:
        asked = {**params, "access_token": token}
        try:
            with self._http.get(self.API_BASE_URL + api, params=asked, timeout=TIMEOUT, stream=True) as answer:
                kind = answer.headers.get("Content-Type", "").lower()
                if answer.status_code != 200 or kind.startswith(("application/json", "text/plain")):
                    return self._refusal_or_text(api, answer, most)
                if int(answer.headers.get("Content-Length") or 0) > most:
                    raise TooLarge(api, most)
                return _read_up_to(api, answer, most)
        except requests.RequestException as error:
            raise TryLater(str(_broken(api, error))) from None

    def _refusal_or_text(self, api: str, answer: requests.Response, most: int) -> bytes:
        """WeCom answers an error with JSON in place of the file. A file that is text, or JSON of its own, is a file."""
        if answer.status_code != 200:
            raise TryLater(f"{api}: HTTP {answer.status_code}")
        content = _read_up_to(api, answer, most)
        try:
            said = json.loads(content) if len(content) <= LONGEST_REFUSAL else None
            errcode = int(said["errcode"]) if isinstance(said, dict) else 0
        except (ValueError, KeyError, TypeError, RecursionError):
            return content
        if errcode != 0:
            raise error_for(api, errcode)
        return content

    def _ask(
        self,
        api: str,
        token: str,
        body: Answer | None,
        params: dict[str, Any] | None,
        files: dict[str, tuple[str, bytes, str]] | None,
        timeout: tuple[float, float],
    ) -> Answer:
        method = "get" if body is None and files is None else "post"
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        try:
            answer = self._http.request(
                method,
                self.API_BASE_URL + api,
                params={**(params or {}), "access_token": token},
                data=data,
                files=files,
                timeout=timeout,
            )
        except requests.RequestException as error:
            raise _broken(api, error) from None
        return self._read(api, answer)

    def _read(self, api: str, answer: requests.Response) -> Answer:
        if answer.status_code >= 500:
            raise Unclear(f"{api}: HTTP {answer.status_code}")
        if answer.status_code != 200:
            raise TryLater(f"{api}: HTTP {answer.status_code}; is api_base right?")
        try:
            content = answer.json()
            errcode = int(content.get("errcode") or 0)
        except (ValueError, TypeError, AttributeError):
            raise Unclear(f"{api}: the answer is not JSON as WeCom speaks it") from None
        if errcode != 0:
            raise error_for(api, errcode)
        return dict(content)

    def qr_picture(self, address: str) -> tuple[bytes, str]:
        """A QR picture and its content type, from WeCom's own hosts only. No token goes with the question."""
        return pictures.fetch(self._http, address, self.API_BASE_URL)

    def clock_skew(self) -> float | None:
        """Seconds our clock is ahead of WeCom's, from the Date of an answer; None when it gives none or is away."""
        try:
            stamp = self._http.get(self.API_BASE_URL + "gettoken", timeout=TIMEOUT).headers.get("Date", "")
            return time.time() - parsedate_to_datetime(stamp).timestamp()
        except (requests.RequestException, ValueError, TypeError):
            return None

    def token(self) -> str:
        """The living access token, fetched if there is none."""
        return self._tokens.get(self._token_name) or self._new_token(stale=None)

    def ticket(self, kind: str, api: str, params: dict[str, Any], stale: str | None = None) -> str:
        """The living ticket of this kind, kept and shared like the token; fetched anew where it is ``stale``.

        WeCom allows few fetches (wecom.md §4.2), so that one is made for all threads and processes.
        """
        name = f"{self._token_name}:{kind}"
        known = self._tokens.get(name)
        if known is not None and known != stale:
            return known
        with self._tokens.one_at_a_time(name):
            known = self._tokens.get(name)
            if known is not None and known != stale:
                return known
            return self._fetch_ticket(name, api, params)

    def _fetch_ticket(self, name: str, api: str, params: dict[str, Any]) -> str:
        try:
            content = self.call(api, params=params)
            ticket, seconds = str(content["ticket"]), float(content["expires_in"])
        except (Unclear, KeyError, ValueError):
            raise TryLater(f"{api}: the answer holds no ticket") from None
        self._tokens.put(name, ticket, max(1.0, seconds - TOKEN_MARGIN_SECONDS))
        return ticket

    def _new_token(self, stale: str | None) -> str:
        """One fetch for all threads and processes that found the same token dead."""
        with self._tokens.one_at_a_time(self._token_name):
            known = self._tokens.get(self._token_name)
            if known is not None and known != stale:
                return known
            return self._fetch_token()

    def _fetch_token(self) -> str:
        """Ask for a token.

        Who asks wrongly too often is blocked by address, so a refusal is believed for a while. So is silence, for a
        shorter while: else every thread in turn would wait as long as the first.
        """
        trouble, until = self._refusal
        if trouble is not None and time.monotonic() < until:
            raise trouble
        try:
            return self._ask_for_token()
        except Answered as error:
            trouble = error if isinstance(error, TryLater) else Misconfigured("gettoken", error.errcode)
            if not isinstance(trouble, Busy):
                self._refusal = trouble, time.monotonic() + REFUSAL_BELIEVED_SECONDS
            raise trouble from None

    def _ask_for_token(self) -> str:
        try:
            answer = self._http.get(
                self.API_BASE_URL + "gettoken",
                params={"corpid": self.corp_id, "corpsecret": self.secret},
                timeout=TIMEOUT,
            )
        except requests.RequestException as error:
            trouble = TryLater(f"gettoken: {type(error).__name__}")
            if isinstance(error, requests.Timeout):
                self._refusal = trouble, time.monotonic() + SILENCE_BELIEVED_SECONDS
            raise trouble from None
        try:
            content = self._read("gettoken", answer)
            token, seconds = str(content["access_token"]), float(content["expires_in"])
        except (Unclear, KeyError, ValueError):
            raise TryLater("gettoken: the answer holds no token") from None
        self._tokens.put(self._token_name, token, max(1.0, seconds - TOKEN_MARGIN_SECONDS))
        return token


def _read_up_to(api: str, answer: requests.Response, most: int) -> bytes:
    """The body piece by piece, so that a file of any length costs no more than what may be kept."""
    content, until = bytearray(), time.monotonic() + DOWNLOAD_SECONDS
    for piece in answer.iter_content(64 * 1024):
        content += piece
        if len(content) > most:
            raise TooLarge(api, most)
        if time.monotonic() > until:
            raise TryLater(f"{api}: it took longer than {DOWNLOAD_SECONDS:.0f} seconds")
    return bytes(content)


def _session() -> requests.Session:
    http = requests.Session()
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=64)
    http.mount("https://", adapter)
    http.mount("http://", adapter)
    return http


def _broken(api: str, error: requests.RequestException) -> WeComError:
    """Never connected: nothing can have happened. Anything later: unclear. The text names no address, no token."""
    never_there = isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError) or _not_connected(error)
    kind = TryLater if never_there else Unclear
    return kind(f"{api}: {type(error).__name__}")


def _not_connected(error: requests.RequestException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)
