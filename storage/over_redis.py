"""What several machines share over Redis, when it is configured: the bell and the access tokens, never the work.

Every use gives up at once when Redis is away: listeners look by themselves, and tokens are fetched anew.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

from cryptography.fernet import Fernet
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.lock import Lock
from redis.retry import Retry

from storage.bell import TOPIC, Clapper, in_thread
from storage.shared import REFRESH_PATIENCE_SECONDS, unseal


def connect(url: str) -> Redis:
    """A client that gives up after half a second."""
    return Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0))


def connect_waiting(url: str) -> Redis:
    """A client for listening, which waits longer."""
    return Redis.from_url(url, socket_timeout=5)


class RedisTokens:
    """Tokens in Redis. When Redis is away every process fetches its own: WeCom gives them the same one."""

    def __init__(self, redis: Redis, cipher: Fernet) -> None:
        self._redis, self._cipher = redis, cipher
        self._own: dict[str, tuple[str, float]] = {}

    def get(self, name: str) -> str | None:
        """The living token of this name, from Redis or, while it is away, our own last one."""
        try:
            return unseal(self._cipher, cast(bytes | None, self._redis.get(f"scrm:token:{name}")))
        except RedisError:
            token, until = self._own.get(name, ("", 0.0))
            return token if until > time.monotonic() else None

    def put(self, name: str, token: str, seconds: float) -> None:
        """Share a token that lives ``seconds`` more."""
        self._own[name] = (token, time.monotonic() + seconds)
        try:
            self._redis.set(f"scrm:token:{name}", self._cipher.encrypt(token.encode()), ex=max(1, int(seconds)))
        except RedisError:
            return

    @contextmanager
    def one_at_a_time(self, name: str) -> Iterator[None]:
        """Hold a Redis lock while fetching, if Redis is there."""
        lock = self._redis.lock(f"scrm:lock:{name}", timeout=15, blocking_timeout=REFRESH_PATIENCE_SECONDS)
        try:
            held = bool(lock.acquire())
        except RedisError:
            held = False
        try:
            yield
        finally:
            if held:
                _let_go(lock)


def _let_go(lock: Lock) -> None:
    try:
        lock.release()
    except RedisError:
        return  # it ran out by itself; the token it guarded is shared already


class RedisBell:
    """Any number of machines with a Redis: a channel."""

    def __init__(self, hot: Redis, waiting: Redis) -> None:
        self._hot, self._waiting = hot, waiting
        self._clapper = Clapper(self._strike)

    def ring(self, lane: str = "") -> None:
        """Publish, soon."""
        self._clapper.ring(lane)

    def _strike(self, lane: str) -> None:
        """Without Redis the listeners look by themselves."""
        try:
            self._hot.publish(TOPIC, lane)
        except RedisError:
            return

    def listen(self, wake: Callable[[str], None]) -> None:
        """Subscribe, and again whenever Redis went away."""
        in_thread("bell", lambda: self._wait(wake))

    def _wait(self, wake: Callable[[str], None]) -> None:
        while True:
            try:
                with self._waiting.pubsub(ignore_subscribe_messages=True) as channel:  # type: ignore[no-untyped-call]
                    channel.subscribe(TOPIC)
                    while True:
                        if (said := channel.get_message(timeout=1.0)) is not None:
                            wake(said["data"].decode())
            except RedisError:
                time.sleep(1)
