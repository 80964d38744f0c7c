"""``python -m bot`` is the same as ``scrm``."""

from bot.cli import main

main()
