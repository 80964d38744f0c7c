"""The welcome message: one, within twenty seconds."""

from sandbox.call import Call, bounded
from sandbox.endpoints.attachments import checked
from sandbox.errors import Refusal
from sandbox.facts import Json

TEXT_BYTES = 4000


def send(call: Call) -> Json:
    """Use a welcome code."""
    code = call.text("welcome_code", missing=41049)
    text = bounded(str(call.part("text").get("content") or ""), size=TEXT_BYTES, too_long=45002)
    attachments = checked(call)
    if not text and not attachments:
        raise Refusal(44004)
    call.world.welcome(code, call.agent_id, text, attachments)
    return {}
