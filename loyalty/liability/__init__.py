"""The points liability (积分负债): what open points are worth, how many will be redeemed, and how well that is known.

Pure cores: ``accounting`` (money), ``triangle`` (cohorts), ``forecast``, ``backtest``. ``facts`` reads them from the
books, ``report`` puts them together, ``journal`` and ``published`` are what of it leaves the house and stays.
Sources and what the figures are not: docs/liability.md.
"""
