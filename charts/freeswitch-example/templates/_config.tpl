{{- /*
The whole configuration of the switch: no more than a gateway needs. Yours is longer; what counts here are the include
lines below <gateways>, which load what the agent writes.
*/ -}}
{{- define "freeswitch-example.config" -}}
{{- $agent := index .Values "sipgateway-switch" -}}
{{- $profiles := $agent.conf.profilePath | default "sip_profiles/{profile}" -}}
<?xml version="1.0"?>
<document type="freeswitch/xml">
  <X-PRE-PROCESS cmd="env-set" data="esl_password=$ESL_PASSWORD"/>
  <section name="configuration">
    <configuration name="modules.conf">
      <modules>
        <load module="mod_console"/>
        <load module="mod_event_socket"/>
        <load module="mod_commands"/>
        <load module="mod_dptools"/>
        <load module="mod_dialplan_xml"/>
        <load module="mod_sofia"/>
      </modules>
    </configuration>
    <configuration name="switch.conf">
      <settings>
        <param name="loglevel" value="info"/>
        <param name="max-sessions" value="1000"/>
        <param name="sessions-per-second" value="30"/>
        <param name="rtp-start-port" value="{{ int (first .Values.sip.rtpPorts) }}"/>
        <param name="rtp-end-port" value="{{ int (last .Values.sip.rtpPorts) }}"/>
      </settings>
    </configuration>
    <configuration name="console.conf">
      <mappings>
        <map name="all" value="console,info,notice,warning,err,crit,alert"/>
      </mappings>
      <settings>
        <param name="colorize" value="false"/>
        <param name="loglevel" value="info"/>
      </settings>
    </configuration>
    <configuration name="event_socket.conf">
      <settings>
        <!-- Loopback: the agent is in the same pod, and nobody else shall reach it. -->
        <param name="listen-ip" value="{{ regexReplaceAll ":[0-9]+$" $agent.esl.address "" | trimAll "[]" }}"/>
        <param name="listen-port" value="{{ regexFind "[0-9]+$" $agent.esl.address }}"/>
        <param name="password" value="$${esl_password}"/>
      </settings>
    </configuration>
    <configuration name="acl.conf">
      <network-lists/>
    </configuration>
    <configuration name="sofia.conf">
      <profiles>
        <profile name="external">
          <gateways>
            <!-- The line that wires the profile to sipgateway. -->
            <X-PRE-PROCESS cmd="include" data="{{ $agent.conf.path }}/{{ $profiles | replace "{profile}" "external" }}/*.xml"/>
          </gateways>
          <settings>
            <param name="context" value="public"/>
            <param name="dialplan" value="XML"/>
            <param name="sip-ip" value="$${local_ip_v4}"/>
            <param name="rtp-ip" value="$${local_ip_v4}"/>
            <param name="sip-port" value="{{ int .Values.sip.port }}"/>
            <param name="auth-calls" value="false"/>
            <param name="codec-prefs" value="PCMA,PCMU"/>
          </settings>
        </profile>
      </profiles>
    </configuration>
  </section>
  <section name="dialplan">
    <context name="public">
      <!-- Calls from the carriers arrive here. -->
      <extension name="unconditional">
        <condition>
          <action application="hangup" data="UNALLOCATED_NUMBER"/>
        </condition>
      </extension>
    </context>
  </section>
  <section name="directory"/>
</document>
{{- end -}}
