"""The event socket: a protocol without I/O, a thin asyncio client, and replies read as truth.

In: bytes of mod_event_socket. Out: events and replies. Knows nothing of files or manifests.

- protocol.py: bytes in, messages out; no sockets.
- client.py: the asyncio client on top: calls, pipelines, events, time limits.
- commands.py: the fixed list of what may be sent.
- replies.py: what the answers and events really say.
- codes.py: every error of this room, with what to do.
"""
