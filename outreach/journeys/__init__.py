"""Journeys (旅程): who sets out when, what happens on the way, why somebody leaves, and what came of it.

``definition`` says what a journey is and checks it, ``desk`` keeps drafts and versions, ``entries`` lets people set
out, ``walk`` takes each due step, ``actions`` are the steps that do something, ``goals`` ends it for whoever got there.
"""
