"""``python -m benchmarks.bare PORT``: the reference for a callback: Flask and wechatpy on our server and settings.

It opens the envelope and answers; nothing is kept.
"""

import signal
import sys
from types import FrameType

from flask import Flask, Response, request
from wechatpy.enterprise.crypto import WeChatCrypto

from bot.server import server_for
from sandbox.state import CORP_ID
from sandbox.world import AES_KEY, APP_TOKEN


def create_app() -> Flask:
    """An application with one view."""
    app = Flask(__name__)
    crypto = WeChatCrypto(APP_TOKEN, AES_KEY, CORP_ID)

    @app.get("/wecom/callback")
    def check() -> Response:
        return Response(crypto.check_signature(*_seal(), request.args["echostr"]), mimetype="text/plain")

    @app.post("/wecom/callback")
    def receive() -> Response:
        crypto.decrypt_message(request.get_data(), *_seal())
        return Response(b"", mimetype="text/plain")

    return app


def _seal() -> tuple[str, str, str]:
    return request.args["msg_signature"], request.args["timestamp"], request.args["nonce"]


def main(port: int) -> None:
    """Serve until SIGTERM."""
    server = server_for(create_app(), "127.0.0.1", port)

    def tell(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, tell)
    try:
        server.start()
    except SystemExit:
        server.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))
