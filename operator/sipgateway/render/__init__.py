"""SipGateway to XML bytes and back: renderer, revision, and the model of FreeSWITCH's reader that proves them.

In: effective gateways (api.gateway). Out: bytes, paths, revisions. No I/O, no clock, no logging.
"""
