"""Where gateways come from: manifests in files and folders, and existing FreeSWITCH XML.

In: paths and streams. Out: SipGateways, Secrets and findings with file and line.
"""
