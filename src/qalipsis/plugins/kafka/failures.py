"""What the driver raises, as the classes a report counts."""

from __future__ import annotations

import ssl

from aiokafka import errors

from qalipsis.engine.step import StepError

UNAVAILABLE = "broker-unavailable"
AUTH = "auth"
DENIED = "denied"
NO_TOPIC = "no-topic"

KINDS: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    (
        AUTH,
        (
            errors.SaslAuthenticationFailed,
            errors.UnsupportedSaslMechanismError,
            errors.IllegalSaslStateError,
            errors.AuthenticationFailedError,
            errors.AuthenticationMethodNotSupported,
        ),
    ),
    (
        DENIED,
        (
            errors.TopicAuthorizationFailedError,
            errors.GroupAuthorizationFailedError,
            errors.ClusterAuthorizationFailedError,
        ),
    ),
    (NO_TOPIC, (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError)),
    (
        "record-too-large",
        (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError, errors.RecordTooLargeError),
    ),
    ("not-enough-replicas", (errors.NotEnoughReplicasError, errors.NotEnoughReplicasAfterAppendError)),
    ("timeout", (errors.KafkaTimeoutError, errors.RequestTimedOutError, TimeoutError)),
    ("codec", (errors.UnsupportedCodecError,)),
    ("corrupt", (errors.CorruptRecordException,)),
    ("closed", (errors.ProducerClosed, errors.ConsumerStoppedError)),
    ("tls", (ssl.SSLError,)),
    (
        UNAVAILABLE,
        (
            errors.KafkaConnectionError,
            errors.NodeNotReadyError,
            errors.NoBrokersAvailable,
            errors.StaleMetadata,
            errors.BrokerNotAvailableError,
            errors.LeaderNotAvailableError,
            errors.NotLeaderForPartitionError,
            errors.GroupCoordinatorNotAvailableError,
            OSError,  # of which TimeoutError and SSLError are, so that it comes last
        ),
    ),
)
DRIVER_ERRORS = (OSError, errors.KafkaError, NotImplementedError)
"""What the driver raises; the last for a broker whose versions of requests it does not know."""

LASTING = frozenset({AUTH, DENIED, "codec", "closed"})
"""Classes that trying again does not cure."""

HINTS = {
    "codec": "; install cramjam, which undoes snappy, lz4 and zstd",
    "record-too-large": '; raise options={"max_request_size": …}, and max.message.bytes of the topic',
}


def kind_of(error: BaseException) -> str:
    """The class of a failure; `kafka` for what has none of its own."""
    for kind, types in KINDS:
        if isinstance(error, types):
            return kind
    return "kafka"


def failure(error: BaseException, doing: str) -> StepError:
    """What happened while `doing` something, which names the service and its address."""
    if isinstance(error, StepError):
        return error
    kind = kind_of(error)
    return StepError(kind, f"{doing}: {reason(error)}{HINTS.get(kind, '')}")


def reason(error: BaseException) -> str:
    """The driver's words, or the name of its error when it has none."""
    if kind_of(error) == "timeout":
        return "no answer in time"
    text = str(error).strip()
    name = type(error).__name__
    if isinstance(error, errors.BrokerResponseError):
        # It renders as "[Error 3] Name: description"; what is behind the number is what people search for.
        text = text.partition("] ")[2] or text
    return text if text and text != name else name
