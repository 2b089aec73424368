"""The keys of one control plane. Out: an authority, and PEM files of all that it signs for servers and clients."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: The lifetime's start lies back: a test that steps the clock back must not meet certificates from the future.
_BACK, _AHEAD = dt.timedelta(days=365), dt.timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path

    @property
    def files(self) -> tuple[Path, Path]:
        """Both."""
        return self.certificate, self.key


def write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    """A private key as a file that only we may read."""
    path.touch(mode=0o600)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
    path.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return path


def write_public_key(path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    """The public half of a key."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    return path


class Authority:
    """Signs certificates into a folder."""

    def __init__(self, folder: Path, name: str = "sipgateway test CA") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        own = builder.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        self.certificate = folder / f"{name.replace(' ', '-')}.crt"
        self.certificate.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        identifiers = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number(), now - _BACK, now + _AHEAD)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(identifiers, critical=False)
        )

    def sign(self, file: str, name: str, *groups: str, hosts: tuple[str, ...] = ()) -> Pair:
        """A certificate for `name`, in Kubernetes' terms the user, and its groups.

        Args:
            file: What the files are called, without their ending.
            name: The common name.
            groups: The organizations.
            hosts: DNS names and addresses, for a server. It may be a client too: etcd's gateway is its own client.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, name)])
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])]
        builder = self._builder(subject, key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(h) for h in hosts]), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        certificate = self._folder / f"{file}.crt"
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return Pair(certificate, write_key(self._folder / f"{file}.key", key))


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Keys:
    """All that the programs of a control plane need, as files in its folder, and the authority to sign more."""

    def __init__(self, folder: Path) -> None:
        self._authority = Authority(folder)
        self.authority = self._authority.certificate
        self.sign = self._authority.sign
        local = ("127.0.0.1", "localhost")
        service = tuple(f"kubernetes{rest}" for rest in ("", ".default", ".default.svc"))
        self.etcd = self.sign("etcd", "etcd", hosts=local)
        self.etcd_client = self.sign("etcd-client", "kube-apiserver")
        self.server = self.sign("server", "kube-apiserver", hosts=(*local, "10.0.0.1", *service))
        self.admin = self.sign("admin", "admin", "system:masters")
        self.controller_manager = self.sign("kube-controller-manager", "system:kube-controller-manager")
        #: Signs ServiceAccount tokens.
        self.token_key = ec.generate_private_key(ec.SECP256R1())
        self.token_key_file = write_key(folder / "tokens.key", self.token_key)
        self.token_public_file = write_public_key(folder / "tokens.pub", self.token_key)
