"""Callbacks, sealed as WeCom seals them, and sealed as only an attacker would.

A receiver must turn every forgery away, cheaply and before it parses or decrypts what it need not.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from sandbox.envelope import outer_xml
from sandbox.facts import App
from sandbox.world import World

Callback = tuple[dict[str, str], bytes]


def signed(world: World, app: App, encrypt: str) -> dict[str, str]:
    """The query of a callback, with a time and nonce of its own."""
    timestamp, nonce = str(world.second()), str(world.rng.getrandbits(31))
    signature = app.envelope(world.corp_id).sign(timestamp, nonce, encrypt)
    return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce}


def sealed(world: World, app: App, xml: str) -> Callback:
    """The query and body of an honest callback."""
    encrypt = app.envelope(world.corp_id).encrypt(xml)
    return signed(world, app, encrypt), outer_xml(world.corp_id, app.agent_id, encrypt)


def wrong_signature(world: World, app: App, xml: str) -> Callback:
    """An honest body under a signature somebody made up."""
    params, body = sealed(world, app, xml)
    return {**params, "msg_signature": "0" * 40}, body


def wrong_receiver(world: World, app: App, xml: str) -> Callback:
    """Sealed for another corp."""
    encrypt = app.envelope("wwsomebodyelse0001").encrypt(xml)
    return signed(world, app, encrypt), outer_xml(world.corp_id, app.agent_id, encrypt)


def wrong_key(world: World, app: App, xml: str) -> Callback:
    """Sealed with another key."""
    stranger = replace(app, encoding_aes_key="A" * 43)
    encrypt = stranger.envelope(world.corp_id).encrypt(xml)
    return signed(world, app, encrypt), outer_xml(world.corp_id, app.agent_id, encrypt)


def truncated(world: World, app: App, xml: str) -> Callback:
    """A ciphertext that breaks off."""
    encrypt = app.envelope(world.corp_id).encrypt(xml)[:-24]
    return signed(world, app, encrypt), outer_xml(world.corp_id, app.agent_id, encrypt)


def xml_bomb(world: World, app: App, xml: str) -> Callback:
    """A body that would grow without end when parsed."""
    layers = "".join(f'<!ENTITY {chr(97 + n)} "{f"&{chr(96 + n)};" * 10}">' for n in range(1, 10))
    body = f'<!DOCTYPE xml [<!ENTITY a "lol">{layers}]><xml><Encrypt>&j;</Encrypt></xml>'
    return sealed(world, app, xml)[0], body.encode()


def external_entity(world: World, app: App, xml: str) -> Callback:
    """A body that asks for a file of the machine."""
    body = '<!DOCTYPE xml [<!ENTITY x SYSTEM "/dev/null">]><xml><Encrypt>&x;</Encrypt></xml>'
    return sealed(world, app, xml)[0], body.encode()


FORGERIES: Mapping[str, Callable[[World, App, str], Callback]] = {
    "signature": wrong_signature,
    "receiver": wrong_receiver,
    "key": wrong_key,
    "truncated": truncated,
    "bomb": xml_bomb,
    "entity": external_entity,
}


def forged(kind: str, world: World, app: App, xml: str) -> Callback:
    """A forgery of this kind around an event."""
    return FORGERIES[kind](world, app, xml)
