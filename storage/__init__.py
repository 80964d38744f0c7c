"""Keeping things: tables, transactions, the inbox and the outbox. Knows nothing of WeCom's meaning."""
