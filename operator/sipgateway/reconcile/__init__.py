"""What should change on a switch, and what became of it: pure functions over frozen values.

In: desired gateways and what the switch was seen to have. Out: plans and verdicts. No I/O, time is an argument.
"""
