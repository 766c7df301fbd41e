"""Webhooks: sends what the outbox holds, each driver's events in their order, until it arrives.

The outbox is filled by the database as events are stored (`deploy/schema/0006_webhooks.sql`).
`outcome`, `schedule` and `pace` are the pure rules.
"""
