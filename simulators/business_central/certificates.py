"""A certificate authority of our own for the sign-in, made at start: MSAL talks https only."""

import ssl
from pathlib import Path

import trustme


def make_certificates(directory: Path) -> tuple[Path, ssl.SSLContext]:
    """Write the CA to `ca.pem` and return its path with a server context for localhost."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    bundle = (directory / "ca.pem").resolve()
    authority.cert_pem.write_to_path(bundle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", "::1").configure_cert(context)
    return bundle, context
