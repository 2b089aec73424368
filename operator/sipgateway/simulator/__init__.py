"""A stand-in for FreeSWITCH's mod_sofia and mod_event_socket, held to the measured facts (docs/switch-facts.md).

In: a configuration folder and ESL connections. Out: what a real switch would answer. No RTP, no SIP on a wire.
"""
