"""A WeCom (企业微信) of our own: the simulator behind the demo, the benchmarks and the tests.

There is one fake WeCom. Tests reach it in process (`sandbox.adapter`), the demo and the benchmarks over HTTP
(`sandbox.web`). It imports nothing of the product, so it can disagree with it.

How a fact travels: an actor does something (`actors`), the world changes (`world`), an event is written down
(`events`), carried to the product's callback (`callbacks`); the product answers by calling the API (`api`), and
what reached the customer can be read in `World.sent` and `World.chat_of`.

What it cannot prove, and a first real corp must: the exact spacing of callback retries; how WeCom spreads scans over
several reps; risk control (spam blocks, bans of members); the real mass-message quota of a corp; delivery delays;
silent drops nobody documented; settings that exist only in the admin console. The errcode for a few refusals (an app
editing another's tag, an unknown API path, a second use of a template card's task_id, a group transfer that is one too
many) is a guess: see `errors`; so are the limit on pulling 微信客服 messages without a token, the hour from which
yesterday's statistics can be read, and what add_msg_template knows of quotas already: see `knobs`; that a customer who
has deleted the member fails only when he sends: see `endpoints.mass`; and how the client words a few of its refusals:
see `js_client`.
"""
