"""What systemd is told about a run that is one of its services (sd_notify(3))."""

import os
import socket


def tell_service_manager(state: str) -> None:
    """Send a state such as READY=1 or WATCHDOG=1; nothing happens outside of a service."""
    address = os.environ.get('NOTIFY_SOCKET', '')
    if not address:
        return
    # A name that begins with @ lives outside of the file system.
    name = '\0' + address[1:] if address.startswith('@') else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.setblocking(False)
        try:
            channel.sendto(state.encode(), name)
        except OSError:
            return  # a manager that does not listen is not waited for
