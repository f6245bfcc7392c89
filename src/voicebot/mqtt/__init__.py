"""The kiosk on a message bus: what it tells of itself over MQTT, and the commands it takes.

``bridge.py`` joins the parts: it observes a conversation's facts and keeps up a connection
(``connection.py``). All that is said and understood there is pure: topics, payloads, commands,
Home Assistant's discovery, backoff, rates. Figures of turns wait in ``outbox.py``.
"""
