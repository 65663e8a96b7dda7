"""A TCP port to listen on, and an end of it that resets nobody who has connected.

A listening socket cannot be told to finish: who connects between the last accept and the close is reset, and that is
long enough to matter where other processes take the CPU in between. So the kernel first drops the connections' first
packets (SYN): their clients send another a second later, and are refused.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterator
from typing import Final

UNREAD_ANSWER_S = 30
"""Seconds that a client may take no byte of its answer, until its connection is ended: it holds the answer's memory."""

SO_ATTACH_FILTER: Final = 26
"""Linux' number, which Python has no name for."""

TCP_FLAGS: Final = 13
"""Where a TCP header has its flags."""

SYN: Final = 0x02

# Linux' socket filter (Documentation/networking/filter.rst): code, jumps if true and if false, operand.
DROP_SYN: Final = b"".join(
    struct.pack("=HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, TCP_FLAGS),  # load the byte
        (0x45, 0, 1, SYN),  # is that bit set?
        (0x06, 0, 0, 0),  # drop it
        (0x06, 0, 0, 0xFFFFFFFF),  # take it all
    )
)


def listen_tcp(host: str, port: int, backlog: int) -> socket.socket:
    """Listen on an address; connections will have what their listener has.

    Raises:
        OSError: somebody else does, or there is no such address.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_ANSWER_S * 1000)
    try:
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def drop_new(listener: socket.socket) -> None:
    """Let no connection begin; those that have begun may still be accepted. Where the kernel cannot, do nothing."""
    program = ctypes.create_string_buffer(DROP_SYN, len(DROP_SYN))
    filter_of_socket = struct.pack("@HP", len(DROP_SYN) // struct.calcsize("=HBBI"), ctypes.addressof(program))
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_of_socket)
    except OSError:
        return  # gVisor and other systems than Linux


def accept_all(listener: socket.socket) -> Iterator[socket.socket]:
    """Yield the connections that the kernel has accepted for us, as far as the process may open more."""
    listener.settimeout(0)
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # there are no more, or no more descriptors: what is open already goes on
            return
        connection.settimeout(0)
        yield connection
