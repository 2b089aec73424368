"""A configuration tree to start from (`sipgw simulator --init`). In: a folder. Out: freeswitch.xml and empty includes.

Two profiles: gateways of `external` come from sip_profiles/external/*.xml, those of `internal` from
sip_profiles/internal/*.xml and from the directory user `trunks` of the domain `sipgw.example.com`
(directory_gateways/*.xml and directory_gateways/DOMAIN/USER/*.xml).
"""

from __future__ import annotations

from pathlib import Path

DOMAIN = "sipgw.example.com"
USER = "trunks"
_FOLDERS = ("sip_profiles/external", "sip_profiles/internal", f"directory_gateways/{DOMAIN}/{USER}")
_ROOT = """\
<?xml version="1.0"?>
<document type="freeswitch/xml">
  <X-PRE-PROCESS cmd="set" data="default_password=topsecret"/>
  <X-PRE-PROCESS cmd="set" data="domain={domain}"/>
  <section name="configuration">
    <configuration name="event_socket.conf">
      <settings>
        <param name="listen-ip" value="127.0.0.1"/>
        <param name="listen-port" value="8021"/>
        <param name="password" value="ClueCon"/>
      </settings>
    </configuration>
    <configuration name="acl.conf">
      <network-lists>
        <list name="loopback" default="deny">
          <node type="allow" cidr="127.0.0.0/8"/>
        </list>
        <list name="carriers" default="deny">
          <node type="allow" cidr="192.0.2.0/24"/>
          <node type="allow" cidr="198.51.100.0/24"/>
          <node type="allow" cidr="203.0.113.0/24"/>
        </list>
      </network-lists>
    </configuration>
    <configuration name="sofia.conf">
      <profiles>
        <profile name="external">
          <gateways>
            <X-PRE-PROCESS cmd="include" data="sip_profiles/external/*.xml"/>
          </gateways>
          <settings>
            <param name="context" value="public"/>
            <param name="sip-ip" value="127.0.0.1"/>
            <param name="sip-port" value="5080"/>
          </settings>
        </profile>
        <profile name="internal">
          <gateways>
            <X-PRE-PROCESS cmd="include" data="sip_profiles/internal/*.xml"/>
          </gateways>
          <domains>
            <domain name="{domain}" alias="false" parse="true"/>
          </domains>
          <settings>
            <param name="context" value="public"/>
            <param name="sip-ip" value="127.0.0.1"/>
            <param name="sip-port" value="5060"/>
            <param name="tls" value="true"/>
            <param name="tls-sip-port" value="5061"/>
          </settings>
        </profile>
      </profiles>
    </configuration>
  </section>
  <section name="directory">
    <domain name="{domain}">
      <groups>
        <group name="default">
          <users>
            <user id="{user}">
              <gateways>
                <X-PRE-PROCESS cmd="include" data="directory_gateways/*.xml"/>
                <X-PRE-PROCESS cmd="include" data="directory_gateways/{domain}/{user}/*.xml"/>
              </gateways>
            </user>
          </users>
        </group>
      </groups>
    </domain>
  </section>
</document>
"""


def write_skeleton(folder: Path) -> bool:
    """Writes the tree where there is none.

    Args:
        folder: is made when it does not exist; a freeswitch.xml in it is left alone.

    Returns:
        Whether freeswitch.xml was written.

    Raises:
        OSError: the folder cannot be written.
    """
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    root = folder / "freeswitch.xml"
    if root.exists():
        return False
    root.write_text(_ROOT.format(domain=DOMAIN, user=USER), encoding="utf-8")
    return True
