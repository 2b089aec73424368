"""What a SipGateway is: the parameter table, the spec, its acceptance, and what is generated from them.

In: plain mappings (parsed YAML or JSON). Out: frozen values and findings. No I/O, no clock, no logging.
"""
