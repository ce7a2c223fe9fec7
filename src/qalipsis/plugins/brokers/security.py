"""TLS towards a broker."""

from __future__ import annotations

import os
import ssl

from qalipsis.errors import ConfigurationError
from qalipsis.plugins.brokers.options import Security


def tls_context(security: Security) -> ssl.SSLContext:
    """One context for all connections of a client. Raises ConfigurationError naming the option."""
    client, verify, cert = security.client, security.verify, security.cert
    try:
        if isinstance(verify, str):
            is_folder = os.path.isdir(verify)
            context = ssl.create_default_context(
                cafile=None if is_folder else verify, capath=verify if is_folder else None
            )
        else:
            context = ssl.create_default_context()
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(f"{client} verify={verify!r} holds no CA certificates: {error}") from error
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert is not None:
        try:
            context.load_cert_chain(*cert)
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(
                f"{client} cert: {cert[0]!r} and its key cannot be used: {error}"
            ) from error
    return context
