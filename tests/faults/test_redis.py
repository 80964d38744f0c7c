"""F10: Redis holds the bell and the tokens, never the work. It may be emptied or gone at any moment."""

import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import fakeredis
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from bot.assembly import assemble
from bot.web import create_app
from storage.over_redis import RedisBell, RedisTokens
from storage.shared import cipher_from
from storage.tables import Interaction
from tests.databases import required
from tests.shop import Shop, build_shop, close_shop, line_to

URL = os.environ.get("SCRM_TEST_REDIS", "redis://127.0.0.1:6379/15")
CIPHER = cipher_from("k" * 40)


def gone() -> Redis:
    """A Redis that nobody answers for."""
    return Redis.from_url(
        "redis://127.0.0.1:1/15", socket_timeout=0.2, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0)
    )


@pytest.fixture(params=["real", "fake"])
def redis(request: pytest.FixtureRequest) -> Iterator[Redis]:
    found = fakeredis.FakeRedis()
    if request.param == "real":
        found = Redis.from_url(URL, socket_timeout=0.5, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0))
        try:
            found.ping()
        except RedisError:
            (pytest.fail if required("redis") else pytest.skip)(f"no Redis at {URL}")
    found.delete("scrm:token:t", "scrm:lock:t")
    yield found
    found.delete("scrm:token:t", "scrm:lock:t")
    found.close()


def test_a_token_is_shared_sealed_and_dies_in_time(redis: Redis) -> None:
    one, two = RedisTokens(redis, CIPHER), RedisTokens(redis, CIPHER)
    one.put("t", "token-nobody-may-see", 60)
    assert two.get("t") == "token-nobody-may-see"
    assert b"nobody" not in (redis.get("scrm:token:t") or b"")
    assert 0 < redis.ttl("scrm:token:t") <= 60
    assert RedisTokens(redis, cipher_from("another" * 8)).get("t") is None


def test_an_emptied_redis_only_costs_another_token(redis: Redis) -> None:
    tokens = RedisTokens(redis, CIPHER)
    tokens.put("t", "first", 60)
    redis.delete("scrm:token:t")
    assert tokens.get("t") is None
    with tokens.one_at_a_time("t"):
        tokens.put("t", "second", 60)
    assert tokens.get("t") == "second"


def test_only_one_at_a_time_fetches(redis: Redis) -> None:
    tokens = RedisTokens(redis, CIPHER)
    inside, most = [], []

    def fetch() -> None:
        with tokens.one_at_a_time("t"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=fetch) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5


def test_a_lock_that_was_flushed_away_breaks_nothing(redis: Redis) -> None:
    tokens = RedisTokens(redis, CIPHER)
    with tokens.one_at_a_time("t"):
        redis.delete("scrm:lock:t")
    with tokens.one_at_a_time("t"):
        pass


def test_without_redis_every_process_has_its_own_token() -> None:
    tokens = RedisTokens(gone(), CIPHER)
    assert tokens.get("t") is None
    with tokens.one_at_a_time("t"):
        tokens.put("t", "own", 60)
    assert tokens.get("t") == "own"
    assert RedisTokens(gone(), CIPHER).get("t") is None


def test_the_bell_wakes_and_its_absence_raises_nothing(redis: Redis) -> None:
    woken: queue.Queue[str] = queue.Queue()
    listening = redis if isinstance(redis, fakeredis.FakeRedis) else Redis.from_url(URL, socket_timeout=5)
    bell = RedisBell(redis, listening)
    bell.listen(woken.put)
    for _ in range(50):
        bell.ring("calls")
        with suppress(queue.Empty):
            assert woken.get(timeout=0.1) == "calls"
            break
    else:
        pytest.fail("the bell woke nobody")
    RedisBell(gone(), gone()).ring()


@pytest.mark.parametrize("url", [URL, "redis://127.0.0.1:1/15"], ids=["there", "gone"])
def test_a_shop_with_redis_works_through_a_flush_and_without_it(sqlite_url: str, url: str) -> None:
    """Its tokens are thrown away again and again in the middle of the work."""
    shop: Shop = build_shop(sqlite_url)
    settings = shop.parts.settings.model_copy(update={"redis": type(shop.parts.settings.redis)(url=url)})
    parts = assemble(settings, clock=shop.parts.clock, http=line_to(shop.world), bell=shop.parts.bell)
    shop.parts.close()
    shop.parts = parts
    shop.app = create_app(parts)
    shop.open_for_business()
    channel = shop.channel()
    redis = Redis.from_url(url, socket_timeout=0.2, socket_connect_timeout=0.2, retry=Retry(NoBackoff(), 0))
    for number in range(4):
        shop.world.scan(channel.code, external_userid=f"wmR{number}", userid="lisi")
        try:
            redis.delete(*(redis.keys("scrm:*") or ["scrm:none"]))
        except RedisError:
            pass
        shop.catch_up()
    redis.close()
    assert len(shop.world.sent) == 4
    assert len(shop.rows(Interaction, Interaction.kind == "added")) == 4
    close_shop(shop)
