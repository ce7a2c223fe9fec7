"""TLS towards a service: the context of a client, and why a handshake failed."""

from __future__ import annotations

import os
import ssl
from typing import Final

from qalipsis.engine.step import StepError
from qalipsis.errors import ConfigurationError
from qalipsis.language.security import Security

UNKNOWN_CA: Final = frozenset({18, 19, 20, 21})
"""OpenSSL's numbers for a certificate that no trusted authority has signed (X509_V_ERR_…_SELF_SIGNED_CERT,
X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE)."""
OTHER_NAME: Final = frozenset({62, 64})
"""The same for a certificate of another host (X509_V_ERR_HOSTNAME_MISMATCH and …_IP_ADDRESS_MISMATCH)."""


def tls_context(security: Security) -> ssl.SSLContext:
    """One context for all connections of a client: it holds the certificates, which are large.

    Raises ConfigurationError naming the option whose file cannot be used.
    """
    client, verify, cert = security.client, security.verify, security.cert
    is_folder = isinstance(verify, str) and os.path.isdir(verify)
    try:
        context = ssl.create_default_context(
            cafile=verify if isinstance(verify, str) and not is_folder else None,
            capath=verify if isinstance(verify, str) and is_folder else None,
        )
    except OSError as error:  # the errors of ssl are such
        raise ConfigurationError(f"{client} verify={verify!r} holds no CA certificates: {error}") from error
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert is not None:
        try:
            context.load_cert_chain(*cert)
        except OSError as error:
            raise ConfigurationError(
                f"{client} cert: {cert[0]!r} and its key cannot be used: {error}"
            ) from error
    return context


def tls_failure(error: OSError, where: str, client: str, *, other_name: str, no_tls: str) -> StepError:
    """Why there is no TLS with `where`.

    What to do is told where it is known: `other_name` for a certificate of another host, `no_tls` for a
    service that speaks without TLS.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = ""
        if error.verify_code in UNKNOWN_CA:
            hint = f"; give {client}(verify=…) the CA that signed it"
        elif error.verify_code in OTHER_NAME:
            hint = f"; {other_name}"
        said = error.verify_message.rstrip(".")
        failure = StepError("tls", f"the certificate of {where} is not accepted: {said}{hint}")
    else:
        reason = getattr(error, "reason", None) or error.strerror or error
        if reason == "WRONG_VERSION_NUMBER":
            reason = f"what answers is no TLS; {no_tls}"
        failure = StepError("tls", f"the TLS handshake with {where} failed: {reason}")
    failure.__cause__ = error
    return failure
