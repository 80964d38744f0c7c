"""Log lines: one line each, no secrets, to stderr. A nickname with a line break cannot forge a second line."""

import logging
import re
import sys

SECRETS = re.compile(r"((?:access_token|corpsecret|msg_signature|welcome_code|WelcomeCode|Bearer)[=: ]+)[^&\s'\",}]+")
BREAKS = re.compile(r"[\r\n\x00-\x08\x0b-\x1f\x7f\u2028\u2029]+(?!\Z)")


class OneLine(logging.Formatter):
    """``time level name message``; a traceback follows indented, so that every new record begins with its time."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text, with secrets hidden and line breaks of the message flattened."""
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        message = BREAKS.sub(" ", record.getMessage())
        line = f"{self.formatTime(record)} {record.levelname.lower():7} {record.name}: {message}"
        text = line + "".join(f"\n    {one}" for one in trace.splitlines())
        return SECRETS.sub(r"\1***", text)


def configure(level: str = "INFO") -> None:
    """Send everything to stderr in this form; libraries that talk about addresses stay quiet."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)  # a long job is no news at every beat
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # its warnings tell what a refused row holds
    for name in ("urllib3", "apscheduler", "alembic", "wechatpy", "cheroot"):
        logging.getLogger(name).setLevel(logging.WARNING)
