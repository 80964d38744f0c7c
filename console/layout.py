"""What all pages share: navigation, the frame around them, error pages, static files, and the choice of language."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import (
    Blueprint,
    Flask,
    Response,
    current_app,
    flash,
    jsonify,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from flask_bootstrap import Bootstrap5
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from console import doors, here, words
from console.words import N_
from storage.tables import User

pages = Blueprint(
    "console", __name__, static_folder="static", static_url_path="/static/console", template_folder="templates"
)

SEEN = "seen"
"""The cookie with the pages whose first-visit sentence was put away."""


@dataclass(frozen=True)
class Place:
    """One entry of the navigation; shown when its page exists and the viewer may see it."""

    words: str
    endpoint: str
    icon: str
    also: tuple[str, ...] = ()
    """Other blueprints that belong to this place."""

    @property
    def blueprint(self) -> str:
        """The page group it leads to."""
        return self.endpoint.partition(".")[0]


PLACES: Sequence[Place] = (
    Place(N_("今日"), "today.show", "sun", also=("day",)),
    Place(N_("引流"), "channels.index", "qr-code", also=("channel_imports", "channel_pictures")),
    Place(N_("客户"), "customers.index", "people", also=("person", "joined", "bulk", "handover", "privacy")),
    Place(N_("订单"), "orders.index", "receipt", also=("unusual",)),
    Place(
        N_("积分"),
        "points.index",
        "coin",
        also=("confirming", "campaigns", "tiers", "rewards", "gifts", "group_buys", "labels", "liability", "takeover"),
    ),
    Place(N_("核销"), "counter.show", "upc-scan"),
    Place(N_("聊天"), "chats.index", "chat-dots", also=("answers", "kf_settings", "chat_report")),
    Place(N_("标签"), "tag_list.index", "tags", also=("rules",)),
    Place(N_("分层"), "segments.index", "pie-chart"),
    Place(N_("旅程"), "journeys.index", "signpost-2"),
    Place(N_("群发"), "broadcasts.index", "send"),
    Place(N_("审批"), "approvals.index", "shield-check"),
    Place(N_("日历"), "planned.show", "calendar3"),
    Place(N_("素材"), "materials.index", "collection"),
    Place(N_("运行"), "operations.index", "activity", also=("comparing",)),
    Place(N_("设置"), "settings.index", "sliders", also=("holdout", "outside")),
)
ROLE_WORDS = {"boss": N_("老板"), "manager": N_("主管"), "operator": N_("运营"), "rep": N_("普通成员")}
WATCH_WORDS = {
    "welcome": N_("欢迎语"),
    "tags": N_("打标签"),
    "answers": N_("自动回复"),
    "mass": N_("群发"),
    "all": N_("所有发送"),
}
ERRORS = {
    400: (N_("这个请求不完整"), N_("什么也没有改变。请返回上一页，重新填写后再提交。")),
    403: (
        N_("这个表单已失效"),
        N_("什么也没有改变。请返回上一页刷新后再提交；如果是从别的网站跳转来的，请直接打开这里。"),
    ),
    404: (N_("没有这个页面"), N_("它不存在，或者不在你能看到的范围内。")),
    405: (N_("没有这个页面"), N_("它不存在，或者不在你能看到的范围内。")),
    409: (N_("刚才有人改过"), N_("你的修改没有保存。请刷新页面，看过最新内容后再改。")),
    413: (N_("内容太大"), N_("什么也没有保存。图片和视频请不超过 10 MB，文件不超过 20 MB。")),
    429: (N_("太频繁了"), N_("请稍等片刻再试。")),
    500: (N_("出了点问题"), N_("这一步没有完成，已完成的都还在。请稍后再试；仍然如此请联系管理员查看运行日志。")),
    503: (N_("暂时不可用"), N_("请稍等片刻再试。")),
}


def install(app: Flask) -> None:
    """Add frame, static files and error pages."""
    app.static_url_path = "/static"
    app.config.update(BOOTSTRAP_SERVE_LOCAL=True)
    Bootstrap5(app)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.register_blueprint(pages)
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _error_page)
    app.context_processor(_frame)


def _frame() -> dict[str, Any]:
    """What ``base.html`` needs on every page."""
    return {
        "places": [place for place in PLACES if _open_to_viewer(place)],
        "seen": set((request.cookies.get(SEEN) or "").split(".")),
        "me": here.known_user(),
        "my_name": here.my_name,
        "role_words": ROLE_WORDS,
        "watched": [words._(WATCH_WORDS.get(one, one)) for one in here.watch()],
        "sandbox": here.setting("sandbox"),
        "language": words.chosen(),
        "language_names": words.LANGUAGES,
        "view_names": current_app.view_functions,
    }


def _open_to_viewer(place: Place) -> bool:
    right = doors.right_of(current_app, place.endpoint) if place.endpoint in current_app.view_functions else None
    return right is not None and here.known_user() is not None and here.may(right)


# --- errors ----------------------------------------------------------------------------------------------------------


def _forged(error: CSRFError) -> AnyResponse:
    return _page_for(403)


def _error_page(error: HTTPException) -> Any:
    """The same few words for everybody: no path, no stack, nothing of what was asked for."""
    status = error.code or 500
    if status < 400:
        return error.get_response()
    if request.path.startswith("/api/"):
        problem = jsonify(type="about:blank", title=error.name, status=status)
        problem.status_code, problem.mimetype = status, "application/problem+json"
        return problem
    if request.path.startswith("/wecom/"):
        return Response(error.name.lower(), status, mimetype="text/plain")
    return _page_for(404 if status == 405 else status, error)


def _page_for(status: int, error: HTTPException | None = None) -> AnyResponse:
    title, sentence = ERRORS.get(status, ERRORS[500 if status >= 500 else 400])
    answer = Response(render_template("error.html", title=title, sentence=sentence, status=status), status)
    if (wait := getattr(error, "retry_after", None)) is not None:
        answer.headers["Retry-After"] = str(wait)
    return answer


# --- small doors of the frame ----------------------------------------------------------------------------------------


@pages.get("/favicon.ico")
def favicon() -> AnyResponse:
    """The sign over the shop."""
    return send_from_directory(str(pages.static_folder), "favicon.svg", mimetype="image/svg+xml", max_age=86_400)


@pages.post("/language")
def language() -> AnyResponse:
    """Choose Chinese or English: in this browser, and for this user everywhere else."""
    chosen = request.form.get("language", "")
    answer = redirect(_in_no_language(doors.safe_return(request.form.get("next"))), 303)
    if chosen in words.LANGUAGES:
        words.keep(answer, chosen)
        if (user := here.user()) is not None:
            with here.working() as work:
                work.db.get_one(User, user.id).language = chosen
    return answer


def _in_no_language(address: str) -> str:
    """The address without a language of its own, which would overrule the one just chosen."""
    parts = urlsplit(address)
    asked = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "lang"]
    return urlunsplit(parts._replace(query=urlencode(asked)))


def say(sentence: str, tone: str = "good") -> None:
    """Tell the viewer on the next page what has happened: ``good``, ``warn`` or ``bad``."""
    flash(sentence, tone)


def back_to(endpoint: str, **values: Any) -> AnyResponse:
    """After a change: show the page again."""
    return redirect(url_for(endpoint, **values), 303)
