"""The operator console: server-rendered pages, one module per page group and its templates in a folder of that name.

A view is a door: GET shows, POST changes and redirects; rules live below. To add a page group: a module with a
blueprint, each view with ``@guarded(right)`` (``console.doors``), a row in ``PAGES`` here and one in ``PLACES`` of
``console.layout``; its templates extend ``base.html`` and use ``macros.html``. Parts are looked up in ``console.here``,
sentences are translated as ``console.words`` says.
"""

from flask import Flask

from console import (
    answers,
    approvals,
    books,
    broadcast_results,
    broadcasts,
    bulk,
    by_approval,
    campaigns,
    channel_imports,
    channel_pictures,
    channels,
    chat_report,
    chats,
    comparing,
    confirming,
    counter,
    customers,
    day,
    doors,
    gifts,
    group_buys,
    handover,
    headers,
    holdout,
    joined,
    journeys,
    kf_settings,
    labels,
    layout,
    liability,
    materials,
    operations,
    orders,
    outside,
    own_door,
    own_gifts,
    own_groups,
    own_page,
    own_rewards,
    person,
    planned,
    points,
    privacy,
    rep_words,
    rewards,
    rules,
    segment_words,
    segments,
    settings,
    shown,
    sidebar,
    sign_in,
    tag_list,
    takeover,
    tasks,
    tiers,
    today,
    tracked,
    unusual,
    words,
)

PAGES = (
    sign_in.pages,
    today.pages,
    day.pages,
    sidebar.pages,
    customers.pages,
    person.pages,
    joined.pages,
    tasks.pages,
    orders.pages,
    unusual.pages,
    campaigns.pages,
    bulk.pages,
    handover.pages,
    privacy.pages,
    chats.pages,
    answers.pages,
    kf_settings.pages,
    chat_report.pages,
    channels.pages,
    channel_imports.pages,
    channel_pictures.pages,
    tag_list.pages,
    rules.pages,
    segments.pages,
    journeys.pages,
    broadcasts.pages,
    broadcast_results.pages,
    approvals.pages,
    by_approval.pages,
    tiers.pages,
    labels.pages,
    planned.pages,
    confirming.pages,
    takeover.pages,
    points.pages,
    liability.pages,
    rewards.pages,
    gifts.pages,
    group_buys.pages,
    counter.pages,
    holdout.pages,
    operations.pages,
    comparing.pages,
    settings.pages,
    outside.pages,
    materials.pages,
    tracked.pages,
    own_page.pages,
    own_door.pages,
    own_rewards.pages,
    own_gifts.pages,
    own_groups.pages,
)


def register(app: Flask) -> None:
    """Add the console to the application; ``app.extensions`` already holds the parts."""
    headers.install(app)
    words.install(app)
    books.install(app)
    shown.install(app)
    segment_words.install(app)
    rep_words.install(app)
    layout.install(app)
    doors.install(app)
    for pages in PAGES:
        app.register_blueprint(pages)
