"""The checks by subject: each a small pure function that yields what is wrong with one SipGateway.

In: a parsed SipGateway (names, parameters, together, lists) or an effective gateway (credentials). Out: findings, never
the value of a Secret. Their order is accept.py's; each stands for itself and sees what the others would refuse.
"""
