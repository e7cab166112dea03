"""TLS towards servers, from files that may be renewed while we run."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int], ...]


class ClientContext(ssl.SSLContext):
    """A client's TLS: checks the server's name and certificate, and shows a certificate of its own if it has one.

    Every new connection looks whether a file has changed and then goes by what the files say now, as if the process
    had just started; connections that are open stay.
    """

    def __new__(cls, ca: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> ClientContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, ca: Path | None = None, certificate: Path | None = None, key: Path | None = None) -> None:
        """`ca`: authorities to trust, those of the machine if None; `key`: if not in the file of `certificate`.

        Raises OSError (ssl.SSLError is one) when a file cannot be read or is no certificate.
        """
        self._ca, self._certificate, self._key = ca, certificate, key
        self._stamp, self._current = self._look(), self._read()

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        return self._renewed().wrap_bio(*arguments, **options)

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        return self._renewed().wrap_socket(*arguments, **options)

    def _renewed(self) -> ssl.SSLContext:
        try:
            stamp = self._look()
            if stamp != self._stamp:
                self._stamp, self._current = stamp, self._read()
                log.info("certificates read again")
        except OSError as error:
            log.warning("certificates not read again, the last ones stay: %s", error)
        return self._current

    def _read(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._ca)
        if self._certificate is not None:
            context.load_cert_chain(self._certificate, self._key)
        return context

    def _look(self) -> Stamp:
        states = [path.stat() for path in (self._ca, self._certificate, self._key) if path is not None]
        return tuple((state.st_mtime_ns, state.st_ino) for state in states)
