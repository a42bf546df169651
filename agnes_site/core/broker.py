"""The queue: in Redis, or in a folder, of which no file is ever half there."""

from __future__ import annotations

import logging
import time
import uuid
from pathlib import Path
from typing import Any

from kombu.exceptions import ChannelError, OperationalError
from kombu.transport import filesystem
from kombu.transport.filesystem import exchange_queue_t
from kombu.utils.encoding import str_to_bytes
from kombu.utils.json import dumps

logger = logging.getLogger(__name__)

# What is raised where a queue takes no task.
QUEUE_ERRORS = (OperationalError, ChannelError, OSError)


def redis_options(*, prefix: str) -> dict[str, Any]:
    """Return how the queue in Redis is spoken to; its keys begin with ``prefix``."""
    return {
        "global_keyprefix": prefix,
        # Redis that hangs holds up nobody for long.
        "socket_connect_timeout": 5,
        "socket_timeout": 5,
        # A task is gone from the queue once it is taken. Saying later that it is done could fail:
        # the worker would wait for ever. What a worker loses, the sweeper rings for again.
        "ack_emulation": False,
    }


class Channel(filesystem.Channel):
    """Kombu's, for queues that each have an exchange of their own name, as Celery makes them.

    Kombu writes messages and tables of exchanges in place: a worker may find one before its
    content, and a full disk leaves an empty one that no worker gets over.
    """

    def get_table(self, exchange: str) -> list[exchange_queue_t]:
        """Return the one queue of an exchange."""
        return [exchange_queue_t(exchange, "", exchange)]

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """Remember nothing: the names say it all."""

    def _put(self, queue: str, message: Any, **_: Any) -> None:  # type: ignore[override]  # as it is called
        folder = Path(self.data_folder_out)
        place = folder / f"{time.monotonic_ns():020}_{uuid.uuid4()}.{queue}.msg"
        beside = place.with_suffix(".tmp")
        try:
            beside.write_bytes(str_to_bytes(dumps(message)))
            beside.replace(place)
        except OSError as error:
            beside.unlink(missing_ok=True)
            raise ChannelError(f"No message can be put into the queue: {error.strerror}") from error

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        while True:
            try:
                return super()._get(queue)  # type: ignore[no-untyped-call]  # it has none
            except ValueError:
                # It is out of the folder by now; what it asked for is in the database.
                logger.warning("A damaged message is passed over")


class Transport(filesystem.Transport):
    """Speaks through folders."""

    Channel = Channel
