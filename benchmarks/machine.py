"""What the figures were measured on: machine, versions, commit."""

import os
import platform
import shutil
import sqlite3
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psycopg

from benchmarks.databases import SERVER

PACKAGES = ("sqlalchemy", "psycopg", "flask", "cheroot", "wechatpy", "requests")


def header() -> list[str]:
    """The lines above every table."""
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return [
        f"when      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load before {load}",
        f"machine   {_cpu()}, {os.cpu_count()} cores, {_memory_gb():.0f} GB",
        f"versions  Python {platform.python_version()}, {packages}",
        f"storage   SQLite {sqlite3.sqlite_version}, {_postgresql()}",
        f"commit    {_commit()}",
    ]


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((one.partition(":")[2].strip() for one in lines if one.startswith("model name")), platform.machine())


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _postgresql() -> str:
    try:
        with psycopg.connect(SERVER, connect_timeout=2) as connection:
            return f"PostgreSQL {connection.info.parameter_status('server_version')} on the same machine"
    except psycopg.Error:
        return "no PostgreSQL"


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    head = _said(git, "rev-parse", "--short", "HEAD") or "unknown"
    changed = _said(git, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    return head + (f" and {len(changed.splitlines())} changed files" if changed else "")


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
