"""Health pages for machines: alive, ready, and figures for Prometheus. They show counts, never data."""

from flask import Blueprint, Response, current_app
from sqlalchemy.exc import SQLAlchemyError

from bot.assembly import Parts
from storage import inbox, outbox, schema
from storage.database import reading

health = Blueprint("health", __name__)


@health.get("/healthz")
def alive() -> Response:
    """The process answers."""
    return Response("ok", mimetype="text/plain")


@health.get("/readyz")
def ready() -> Response:
    """Storage can be reached and its schema is ours; 503 with the reason otherwise."""
    parts: Parts = current_app.extensions["parts"]
    try:
        trouble = schema.trouble(parts.front)
    except SQLAlchemyError:
        trouble = "storage cannot be reached"
    return Response(trouble or "ok", 503 if trouble else 200, mimetype="text/plain")


@health.get("/metrics")
def metrics() -> Response:
    """Rows by state in inbox and outbox, and how long the oldest has been waiting (seconds)."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest  # 1 MB that most shops never ask for
    from prometheus_client.exposition import CONTENT_TYPE_LATEST

    parts: Parts = current_app.extensions["parts"]
    registry = CollectorRegistry()
    rows = Gauge("scrm_rows", "Rows by box and state", ["box", "state"], registry=registry)
    oldest = Gauge("scrm_oldest_waiting_seconds", "Age of the oldest open row", ["box"], registry=registry)
    with reading(parts.engine) as db:
        boxes = {"inbox": inbox.health(db), "outbox": outbox.health(db)}
    for name, box in boxes.items():
        for state, count in box.counts.items():
            rows.labels(name, state).set(count)
        since = box.oldest_waiting
        oldest.labels(name).set((parts.clock() - since).total_seconds() if since else 0)
    return Response(generate_latest(registry), mimetype=CONTENT_TYPE_LATEST)
