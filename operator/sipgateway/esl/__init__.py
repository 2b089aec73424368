"""The event socket: a protocol without I/O, a thin asyncio client, and replies read as truth.

In: bytes of mod_event_socket. Out: events and replies. Knows nothing of files or manifests.
"""
